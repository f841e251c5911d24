-- Brings the tables up to date with what was received since; run it as often as you like; once a
-- day is enough. It reads what was received from two days before the newest loaded day on, and makes
-- anew what belongs to the installations and days that this touched. Run twice, it changes nothing.

-- Times without a zone are UTC. This line is another on BigQuery and Snowflake, see README.md.
set TimeZone = 'UTC';

begin transaction;

-- Where to read from. On the first run: from the first row that there is.
insert into loads
select -1000000, min(arrived), 0
from calls where not exists (select 1 from loads) having count(*) > 0;
delete from bound where true;
insert into bound select from_day, from_arrived from stage_bound;
insert into pending select * from stage_pending;

-- What was received from there on.
delete from counts where received_day >= (select max(from_day) from bound);
delete from reports where received_day >= (select max(from_day) from bound);
delete from identities where received_day >= (select max(from_day) from bound);
delete from loads where received_day >= (select max(from_day) from bound);
insert into counts select * from stage_counts;
insert into reports select * from stage_reports;
insert into identities select * from stage_identities;
insert into loads
select received_day, max(arrived), count(*)
from calls
where arrived >= (select max(from_arrived) from bound)
  and received_day >= (select max(from_day) from bound)
group by received_day;
insert into pending select * from stage_pending;

-- What that touched, each from the one before. A planner that knows nothing of a table takes it for
-- small, and joins it row by row.
truncate table touched;
insert into touched select * from stage_touched;
analyze touched;
delete from pending where exists (
    select 1 from touched as t
    where t.installation = pending.installation and t.day = pending.day
  );
truncate table touched_counts;
insert into touched_counts select * from stage_touched_counts;
analyze touched_counts (day, installation, stream, seq);
truncate table touched_doubles;
insert into touched_doubles select * from stage_touched_doubles;
analyze touched_doubles;
truncate table touched_intervals;
insert into touched_intervals select * from stage_touched_windows;
analyze touched_intervals (day, installation, stream, seq);
truncate table touched_reused;
insert into touched_reused select * from stage_touched_reused;
delete from touched_intervals where is_implausible = 0 and exists (
    select 1 from touched_reused as r
    where r.day = touched_intervals.day and r.installation = touched_intervals.installation
      and r.stream = touched_intervals.stream and r.seq = touched_intervals.seq
  )
  and not exists (
    select 1 from touched_reused as r
    where r.day = touched_intervals.day and r.installation = touched_intervals.installation
      and r.stream = touched_intervals.stream and r.seq = touched_intervals.seq
      and r.first_key = ((1 - touched_intervals.has_report) * 100000000000
        + touched_intervals.window_start) * 100000 + touched_intervals.length
  );
delete from intervals where exists (
    select 1 from touched as t
    where t.installation = intervals.installation and t.day = intervals.day
  );
insert into intervals select * from touched_intervals;
delete from stream_days where exists (
    select 1 from touched as t
    where t.installation = stream_days.installation and t.day = stream_days.day
  );
insert into stream_days select * from stage_stream_days;
truncate table touched_plain;
insert into touched_plain select * from stage_touched_plain;
analyze touched_plain;
truncate table touched_said;
insert into touched_said select * from stage_touched_said;
truncate table touched_cover;
insert into touched_cover select * from stage_touched_cover;
analyze touched_cover;
delete from version_days where exists (
    select 1 from touched as t
    where t.installation = version_days.installation and t.day = version_days.day
  );
insert into version_days select * from stage_version_days;
delete from facts where exists (
    select 1 from touched as t
    where t.installation = facts.installation and t.day = facts.day
  );
insert into facts select * from stage_facts;
truncate table touched_latest;
insert into touched_latest select * from stage_touched_latest;
truncate table touched_days;
insert into touched_days select * from stage_touched_days;
delete from installation_days where exists (
    select 1 from touched as t
    where t.installation = installation_days.installation and t.day = installation_days.day
  );
insert into installation_days select * from touched_days;
delete from platform_days where exists (
    select 1 from touched as t
    where t.installation = platform_days.installation and t.day = platform_days.day
  );
insert into platform_days select * from stage_platform_days;
delete from installation_weeks where exists (
    select 1 from touched as t
    where t.installation = installation_weeks.installation
      and t.day - mod(t.day + 3, 7) = installation_weeks.week
  );
insert into installation_weeks select * from stage_touched_weeks;

-- Answers join these.
analyze stream_days;
analyze version_days;
analyze installation_days;
analyze platform_days;
analyze installation_weeks;
analyze facts;
analyze identities;

-- Nothing is left of the steps between.
truncate table touched_counts;
truncate table touched_intervals;
truncate table touched_said;
truncate table touched_cover;
truncate table touched_days;
truncate table touched_doubles;
truncate table touched_reused;
truncate table touched_plain;
truncate table touched_latest;
truncate table touched;
delete from refresh where true;

commit;
