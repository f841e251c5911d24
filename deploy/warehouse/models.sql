-- From `calls` (tables.sql) to answers; README.md tells what each view says and what it does not.
--
-- A table here is what a refresh keeps, and `stage_…`, the view above it, is what goes into it: the
-- rows of what was received lately, or of the installations and days that this touched. Answers read
-- the tables alone. Times are seconds and days since 1970, UTC; a week is the day of its Monday;
-- yes and no are 1 and 0, and NULL is not known; an absent word of a count is ''.

-- Clean: what was received, as it was received ----------------------------------------------------

-- One row, what the next refresh does otherwise: it reloads also so many received days before the
-- newest one that is loaded; it makes anew what about so many calls touched, and leaves the rest.
create table if not exists refresh (days_back bigint, calls bigint);

-- The installations and days of which something was received and nothing has been made of it yet.
-- Empty after a refresh, unless that was to leave something; the next one of that kind goes on.
create table if not exists pending as
select installation, day, seq as calls from calls where false;

-- Each received day that is loaded. `last_arrived` has the type of the raw column, so that the next
-- refresh can ask the raw tables for what came later, in words that their sort key understands.
create table if not exists loads as
select received_day, max(arrived) as last_arrived, count(*) as calls
from calls where false group by received_day;

-- From where on this refresh reads; two days again, for what a warehouse got late from Segment.
create table if not exists bound as
select received_day as from_day, arrived as from_arrived from calls where false;

create view stage_bound as
select
  newest.from_day,
  (select max(one.last_arrived) from loads as one where one.received_day < newest.from_day)
    as from_arrived
from (
  select
    case
      -- What was left is gone on with, before anything else is read.
      when exists (select 1 from pending) and (select max(calls) from refresh) is not null
        and (select max(days_back) from refresh) is null
      then 500000
      else greatest(
        -500000,
        coalesce(max(received_day), 0)
        - greatest(2, coalesce((select max(days_back) from refresh), 2))
      )
    end as from_day
  from loads where calls > 0
) as newest;

create view stage_counts as
select
  received_day, day, is_implausible, installation, stream, seq, window_start, window_end,
  event, botkube_version, platform, command, result, reason, what, type, field, kind,
  count, is_floor, is_late
from calls
where arrived >= (select max(from_arrived) from bound)
  and received_day >= (select max(from_day) from bound)
  and event <> 'collection_report' and event <> 'identifies' and event <> 'groups';

create table if not exists counts as select * from stage_counts where false;

create view stage_reports as
select
  received_day, day, is_implausible, installation, stream, seq, window_start, window_end, is_late,
  nullif(botkube_version, '') as botkube_version,
  nullif(kubernetes_minor, '') as kubernetes_minor,
  nullif(distribution, '') as distribution,
  commands_observable, events_observable, events_discarded, late_lines,
  slack_enabled, socket_slack_enabled, cloud_slack_enabled, mattermost_enabled, teams_enabled,
  cloud_teams_enabled, discord_enabled, elasticsearch_enabled, webhook_enabled, pager_duty_enabled,
  gap_seconds_rotated, gap_seconds_overtaken, gap_seconds_backpressure, gap_seconds_restarted,
  gap_seconds_unreadable, gap_seconds_pod_gone, gap_seconds_stopped, gap_seconds_state_lost,
  application_crashed_delta, command_executed_delta, command_refused_delta,
  configuration_error_delta, event_handled_delta, integration_enabled_delta,
  notification_failed_delta,
  application_crashed_withheld, command_executed_withheld, command_refused_withheld,
  configuration_error_withheld, event_handled_withheld, integration_enabled_withheld,
  notification_failed_withheld,
  -- What is on, off or not known, as one number.
  coalesce(1 + slack_enabled, 0) + 3 * coalesce(1 + socket_slack_enabled, 0)
  + 9 * coalesce(1 + cloud_slack_enabled, 0) + 27 * coalesce(1 + mattermost_enabled, 0)
  + 81 * coalesce(1 + teams_enabled, 0) + 243 * coalesce(1 + cloud_teams_enabled, 0)
  + 729 * coalesce(1 + discord_enabled, 0) + 2187 * coalesce(1 + elasticsearch_enabled, 0)
  + 6561 * coalesce(1 + webhook_enabled, 0) + 19683 * coalesce(1 + pager_duty_enabled, 0)
    as switched,
  coalesce(application_crashed_total, 0) + coalesce(command_executed_total, 0)
  + coalesce(command_refused_total, 0) + coalesce(configuration_error_total, 0)
  + coalesce(event_handled_total, 0) + coalesce(integration_enabled_total, 0)
  + coalesce(notification_failed_total, 0) as total
from calls
where arrived >= (select max(from_arrived) from bound)
  and received_day >= (select max(from_day) from bound)
  and event = 'collection_report';

create table if not exists reports as select * from stage_reports where false;

-- Which cluster an installation is in, as it said on a day.
create view stage_identities as
select
  received_day, day, installation, max(nullif(group_id, '')) as group_id,
  max(nullif(kubernetes_minor, '')) as kubernetes_minor,
  max(nullif(distribution, '')) as distribution
from calls
where arrived >= (select max(from_arrived) from bound)
  and received_day >= (select max(from_day) from bound)
  and (event = 'identifies' or event = 'groups')
group by received_day, day, installation;

create table if not exists identities as select * from stage_identities where false;

-- What the new rows touch: all that follows is made anew for these, and for nothing else.
create view stage_pending as
select installation, day, count(*) as calls
from (
  select installation, day from counts where received_day >= (select max(from_day) from bound)
  union all
  select installation, day from reports where received_day >= (select max(from_day) from bound)
) as received
group by installation, day;

create view stage_touched as
select installation, day
from (
  select
    installation, day, calls,
    sum(calls) over (order by day, installation rows between unbounded preceding and current row)
      as upto
  from (
    select installation, day, max(calls) as calls from pending group by installation, day
  ) as known
) as ordered
where upto - calls < (select greatest(1, coalesce(max(calls), 1000000000000000)) from refresh);

create table if not exists touched as select * from stage_touched where false;

-- One row per natural key: a double has it under the same message id or under another. Of a count
-- that was raised to an operator's minimum nobody knows more than that it was one at least.
create view stage_touched_counts as
select
  day, is_implausible, installation, stream, seq, window_start, window_end,
  event, botkube_version, platform, command, result, reason, what, type, field, kind,
  max(count) as count, max(is_floor) as is_floor, max(is_late) as is_late, count(*) as copies,
  case when max(is_floor) = 1 then least(1, max(count)) else max(count) end as least_count,
  min(received_day) as received_day,
  case when min(count) <> max(count) then 1 else 0 end as is_contradicted
from counts
where exists (
    select 1 from touched as t where t.installation = counts.installation and t.day = counts.day
  )
group by
  day, is_implausible, installation, stream, seq, window_start, window_end,
  event, botkube_version, platform, command, result, reason, what, type, field, kind;

create table if not exists touched_counts as select * from stage_touched_counts where false;

-- Intervals: what was observed, what was observable, what is missing ------------------------------

-- Windows whose report arrived more than once.
create view stage_touched_doubles as
select day, is_implausible, installation, stream, seq, window_start, window_end, count(*) as copies
from reports
where exists (
    select 1 from touched as t where t.installation = reports.installation and t.day = reports.day
  )
group by day, is_implausible, installation, stream, seq, window_start, window_end
having count(*) > 1;

create table if not exists touched_doubles as select * from stage_touched_doubles where false;

-- One report per window. Most came once; to compare all columns of all reports would cost far more.
create view stage_touched_reports as
select
  day, is_implausible, installation, stream, seq, window_start, window_end,
  cast(1 as bigint) as copies, 0 as is_contradicted, received_day, is_late,
  botkube_version, kubernetes_minor, distribution,
  commands_observable, events_observable, events_discarded, late_lines,
  slack_enabled, socket_slack_enabled, cloud_slack_enabled, mattermost_enabled, teams_enabled,
  cloud_teams_enabled, discord_enabled, elasticsearch_enabled, webhook_enabled, pager_duty_enabled,
  gap_seconds_rotated, gap_seconds_overtaken, gap_seconds_backpressure, gap_seconds_restarted,
  gap_seconds_unreadable, gap_seconds_pod_gone, gap_seconds_stopped, gap_seconds_state_lost,
  application_crashed_delta, command_executed_delta, command_refused_delta,
  configuration_error_delta, event_handled_delta, integration_enabled_delta,
  notification_failed_delta,
  application_crashed_withheld, command_executed_withheld, command_refused_withheld,
  configuration_error_withheld, event_handled_withheld, integration_enabled_withheld,
  notification_failed_withheld,
  total
from reports as r
where exists (
    select 1 from touched as t where t.installation = r.installation and t.day = r.day
  )
  and not exists (
    select 1 from touched_doubles as d
    where d.day = r.day and d.is_implausible = r.is_implausible
      and d.installation = r.installation and d.stream = r.stream
      and d.seq = r.seq and d.window_start = r.window_start and d.window_end = r.window_end
  )
union all
select
  r.day, r.is_implausible, r.installation, r.stream, r.seq, r.window_start, r.window_end,
  count(*),
  case
    when min(coalesce(r.application_crashed_delta, -1))
        <> max(coalesce(r.application_crashed_delta, -1))
      or min(coalesce(r.command_executed_delta, -1))
        <> max(coalesce(r.command_executed_delta, -1))
      or min(coalesce(r.command_refused_delta, -1)) <> max(coalesce(r.command_refused_delta, -1))
      or min(coalesce(r.configuration_error_delta, -1))
        <> max(coalesce(r.configuration_error_delta, -1))
      or min(coalesce(r.event_handled_delta, -1)) <> max(coalesce(r.event_handled_delta, -1))
      or min(coalesce(r.integration_enabled_delta, -1))
        <> max(coalesce(r.integration_enabled_delta, -1))
      or min(coalesce(r.notification_failed_delta, -1))
        <> max(coalesce(r.notification_failed_delta, -1))
      or min(coalesce(r.botkube_version, '')) <> max(coalesce(r.botkube_version, ''))
      or min(coalesce(r.kubernetes_minor, '')) <> max(coalesce(r.kubernetes_minor, ''))
      or min(coalesce(r.distribution, '')) <> max(coalesce(r.distribution, ''))
      or min(coalesce(r.events_observable, 2)) <> max(coalesce(r.events_observable, 2))
      or min(coalesce(r.commands_observable, 2)) <> max(coalesce(r.commands_observable, 2))
      or min(r.switched) <> max(r.switched)
    then 1 else 0
  end,
  min(r.received_day), max(r.is_late),
  case
    when min(r.botkube_version) <> max(r.botkube_version) then 'several' else max(r.botkube_version)
  end,
  max(r.kubernetes_minor), max(r.distribution),
  min(r.commands_observable), min(r.events_observable), max(r.events_discarded),
  max(r.late_lines),
  max(r.slack_enabled), max(r.socket_slack_enabled), max(r.cloud_slack_enabled),
  max(r.mattermost_enabled), max(r.teams_enabled), max(r.cloud_teams_enabled),
  max(r.discord_enabled), max(r.elasticsearch_enabled), max(r.webhook_enabled),
  max(r.pager_duty_enabled),
  max(r.gap_seconds_rotated), max(r.gap_seconds_overtaken), max(r.gap_seconds_backpressure),
  max(r.gap_seconds_restarted), max(r.gap_seconds_unreadable), max(r.gap_seconds_pod_gone),
  max(r.gap_seconds_stopped), max(r.gap_seconds_state_lost),
  max(r.application_crashed_delta), max(r.command_executed_delta), max(r.command_refused_delta),
  max(r.configuration_error_delta), max(r.event_handled_delta), max(r.integration_enabled_delta),
  max(r.notification_failed_delta),
  max(r.application_crashed_withheld), max(r.command_executed_withheld),
  max(r.command_refused_withheld), max(r.configuration_error_withheld),
  max(r.event_handled_withheld), max(r.integration_enabled_withheld),
  max(r.notification_failed_withheld),
  max(r.total)
from reports as r
join touched_doubles as d
  on d.day = r.day and d.is_implausible = r.is_implausible and d.installation = r.installation
  and d.stream = r.stream and d.seq = r.seq
  and d.window_start = r.window_start and d.window_end = r.window_end
group by
  r.day, r.is_implausible, r.installation, r.stream, r.seq, r.window_start, r.window_end;

-- What arrived of a window beside its report, summed by event.
create view stage_touched_sums as
select
  day, is_implausible, installation, stream, seq, window_start, window_end,
  cast(sum(case when event = 'application_crashed' then count else 0 end) as bigint)
    as application_crashed,
  cast(sum(case when event = 'command_executed' then count else 0 end) as bigint)
    as command_executed,
  cast(sum(case when event = 'command_refused' then count else 0 end) as bigint)
    as command_refused,
  cast(sum(case when event = 'configuration_error' then count else 0 end) as bigint)
    as configuration_error,
  cast(sum(case when event = 'event_handled' then count else 0 end) as bigint)
    as event_handled,
  cast(sum(case when event = 'integration_enabled' then count else 0 end) as bigint)
    as integration_enabled,
  cast(sum(case when event = 'notification_failed' then count else 0 end) as bigint)
    as notification_failed,
  max(case when event = 'application_crashed' then is_floor else 0 end)
    as application_crashed_raised,
  max(case when event = 'event_handled' then is_floor else 0 end) as event_handled_raised,
  max(case when event = 'notification_failed' then is_floor else 0 end)
    as notification_failed_raised,
  cast(sum(count) as bigint) as counted, max(is_late) as is_late,
  min(received_day) as received_day, max(is_contradicted) as is_contradicted,
  cast(sum(copies) as bigint) as copies, cast(sum(copies - 1) as bigint) as doubled
from touched_counts
group by day, is_implausible, installation, stream, seq, window_start, window_end;

-- Both, whichever arrived.
create view stage_touched_windows as
select
  coalesce(r.day, s.day) as day,
  coalesce(r.day, s.day) - mod(coalesce(r.day, s.day) + 3, 7) as week,
  coalesce(r.is_implausible, s.is_implausible) as is_implausible,
  coalesce(r.installation, s.installation) as installation, coalesce(r.stream, s.stream) as stream,
  coalesce(r.seq, s.seq) as seq,
  coalesce(r.window_start, s.window_start) as window_start,
  coalesce(r.window_end, s.window_end) as window_end,
  coalesce(r.window_end, s.window_end) - coalesce(r.window_start, s.window_start) as length,
  case when r.seq is null then 0 else 1 end as has_report,
  coalesce(r.copies, 0) + coalesce(s.copies, 0) as copies,
  coalesce(r.copies - 1, 0) + coalesce(s.doubled, 0) as doubled,
  greatest(coalesce(r.is_late, 0), coalesce(s.is_late, 0)) as is_late,
  greatest(coalesce(r.is_contradicted, 0), coalesce(s.is_contradicted, 0)) as is_contradicted,
  coalesce(r.received_day, s.received_day) as received_day,
  r.botkube_version, r.kubernetes_minor, r.distribution,
  r.commands_observable, r.events_observable, coalesce(r.events_discarded, 0) as events_discarded,
  coalesce(r.late_lines, 0) as late_lines,
  r.slack_enabled, r.socket_slack_enabled, r.cloud_slack_enabled, r.mattermost_enabled,
  r.teams_enabled, r.cloud_teams_enabled, r.discord_enabled, r.elasticsearch_enabled,
  r.webhook_enabled, r.pager_duty_enabled,
  coalesce(r.gap_seconds_rotated, 0) as gap_seconds_rotated,
  coalesce(r.gap_seconds_overtaken, 0) as gap_seconds_overtaken,
  coalesce(r.gap_seconds_backpressure, 0) as gap_seconds_backpressure,
  coalesce(r.gap_seconds_restarted, 0) as gap_seconds_restarted,
  coalesce(r.gap_seconds_unreadable, 0) as gap_seconds_unreadable,
  coalesce(r.gap_seconds_pod_gone, 0) as gap_seconds_pod_gone,
  coalesce(r.gap_seconds_stopped, 0) as gap_seconds_stopped,
  coalesce(r.gap_seconds_state_lost, 0) as gap_seconds_state_lost,
  coalesce(r.gap_seconds_rotated, 0) + coalesce(r.gap_seconds_overtaken, 0)
  + coalesce(r.gap_seconds_backpressure, 0) + coalesce(r.gap_seconds_restarted, 0)
  + coalesce(r.gap_seconds_unreadable, 0) + coalesce(r.gap_seconds_pod_gone, 0)
  + coalesce(r.gap_seconds_stopped, 0) + coalesce(r.gap_seconds_state_lost, 0) as gap_seconds,
  case when r.seq is not null then coalesce(s.application_crashed, 0) end
    - coalesce(r.application_crashed_delta, 0) as application_crashed_off,
  case when r.seq is not null then coalesce(s.command_executed, 0) end
    - coalesce(r.command_executed_delta, 0) as command_executed_off,
  case when r.seq is not null then coalesce(s.command_refused, 0) end
    - coalesce(r.command_refused_delta, 0) as command_refused_off,
  case when r.seq is not null then coalesce(s.configuration_error, 0) end
    - coalesce(r.configuration_error_delta, 0) as configuration_error_off,
  case when r.seq is not null then coalesce(s.event_handled, 0) end
    - coalesce(r.event_handled_delta, 0) as event_handled_off,
  case when r.seq is not null then coalesce(s.integration_enabled, 0) end
    - coalesce(r.integration_enabled_delta, 0) as integration_enabled_off,
  case when r.seq is not null then coalesce(s.notification_failed, 0) end
    - coalesce(r.notification_failed_delta, 0) as notification_failed_off,
  coalesce(r.application_crashed_withheld, 0) as application_crashed_withheld,
  coalesce(r.command_executed_withheld, 0) as command_executed_withheld,
  coalesce(r.command_refused_withheld, 0) as command_refused_withheld,
  coalesce(r.configuration_error_withheld, 0) as configuration_error_withheld,
  coalesce(r.event_handled_withheld, 0) as event_handled_withheld,
  coalesce(r.integration_enabled_withheld, 0) as integration_enabled_withheld,
  coalesce(r.notification_failed_withheld, 0) as notification_failed_withheld,
  coalesce(s.application_crashed, 0) as crashes,
  coalesce(s.application_crashed_raised, 0) as application_crashed_raised,
  coalesce(s.event_handled_raised, 0) as event_handled_raised,
  coalesce(s.notification_failed_raised, 0) as notification_failed_raised,
  coalesce(s.counted, 0) as counted, r.total
from stage_touched_reports as r
full join stage_touched_sums as s
  on s.day = r.day and s.is_implausible = r.is_implausible and s.installation = r.installation
  and s.stream = r.stream and s.seq = r.seq
  and s.window_start = r.window_start and s.window_end = r.window_end;

create table if not exists touched_intervals as select * from stage_touched_windows where false;

-- A seq with several windows on a day: the one with a report goes on, then the earlier one, and the
-- refresh deletes the others. The key is one number, so that nothing has to be sorted.
create view stage_touched_reused as
select
  day, installation, stream, seq, count(*) - 1 as others,
  min(((1 - has_report) * 100000000000 + window_start) * 100000 + length) as first_key
from touched_intervals
where is_implausible = 0
group by day, installation, stream, seq
having count(*) > 1;

create table if not exists touched_reused as select * from stage_touched_reused where false;

create table if not exists intervals as select * from touched_intervals where false;

-- One row per installation, stream and day: what the neighbours of a hole are.
create view stage_stream_days as
select
  day, week, installation, stream, count(*) as windows,
  -- In the order of time: a restored state counts the same seqs again.
  max(case when seq_before is null then seq end) as first_seq,
  max(case when seq_after is null then seq end) as last_seq, max(seq) as highest_seq,
  min(window_start) as first_start, max(window_end) as last_end,
  max(length) as longest,
  -- When the last of them came first: copies may come much later.
  max(case when seq_after is null then received_day end) as last_received,
  max(case when seq_before is null and gap_seconds_stopped > 0 then 1 else 0 end) as first_stopped,
  max(case when seq_after is null and gap_seconds_stopped > 0 then 1 else 0 end) as last_stopped,
  max(case when seq_before is null and gap_seconds_state_lost > 0 then 1 else 0 end) as first_lost,
  cast(sum(
    case when seq > seq_before + 1 then greatest(0, window_start - end_before) else 0 end
  ) as bigint) as missing_seconds,
  cast(sum(
    case
      when seq <= seq_before + 1 and (gap_seconds_stopped > 0 or stopped_before > 0)
      then greatest(0, window_start - end_before) else 0
    end
  ) as bigint) as stopped_seconds,
  cast(sum(
    case
      when seq <= seq_before + 1 and gap_seconds_stopped = 0 and stopped_before = 0
      then greatest(0, window_start - end_before) else 0
    end
  ) as bigint) as hole_seconds,
  cast(sum(greatest(0, coalesce(end_before - window_start, 0))) as bigint) as overlap_seconds,
  cast(sum(doubled) as bigint) as doubled, cast(sum(others) as bigint) as reused,
  cast(sum(case when seq <= seq_before then 1 else 0 end) as bigint) as steps_back,
  -- From the first to the last time in the day that is a hole, see the view of that name.
  min(
    case
      when window_start > end_before
        and (
          seq > seq_before + 1
          or (gap_seconds_stopped = 0 and stopped_before = 0 and window_start > end_before + 600)
        )
      then end_before
    end
  ) as hole_start,
  max(
    case
      when window_start > end_before
        and (
          seq > seq_before + 1
          or (gap_seconds_stopped = 0 and stopped_before = 0 and window_start > end_before + 600)
        )
      then window_start
    end
  ) as hole_end,
  cast(sum(1 - has_report) as bigint) as unreported,
  cast(sum(counted) as bigint) as counted, max(total) as total,
  cast(sum(is_late) as bigint) as retried_late
from (
  select
    i.day, i.week, i.installation, i.stream, i.seq, i.window_start, i.window_end, i.length,
    i.gap_seconds_stopped, i.gap_seconds_state_lost, i.doubled, i.has_report, i.counted, i.total,
    i.is_late, i.received_day,
    coalesce(r.others, 0) as others,
    lag(i.seq) over (
      partition by i.installation, i.stream, i.day order by i.window_start, i.seq
    ) as seq_before,
    lead(i.seq) over (
      partition by i.installation, i.stream, i.day order by i.window_start, i.seq
    ) as seq_after,
    lag(i.window_end) over (
      partition by i.installation, i.stream, i.day order by i.window_start, i.seq
    ) as end_before,
    lag(i.gap_seconds_stopped) over (
      partition by i.installation, i.stream, i.day order by i.window_start, i.seq
    ) as stopped_before
  from touched_intervals as i
  left join touched_reused as r
    on r.day = i.day and r.installation = i.installation and r.stream = i.stream and r.seq = i.seq
  where i.is_implausible = 0
) as ordered
group by day, week, installation, stream;

create table if not exists stream_days as select * from stage_stream_days where false;

-- Days of one stream whose windows do not overlap: there the time covered is the windows' sum.
create view stage_touched_plain as
select installation, day
from stream_days
where exists (
    select 1 from touched
    where touched.installation = stream_days.installation and touched.day = stream_days.day
  )
group by installation, day
having count(*) = 1 and sum(overlap_seconds) = 0;

create table if not exists touched_plain as select * from stage_touched_plain where false;

-- What one stream said the same of all day is one row: few are left to be added and sorted.
create view stage_touched_said as
select
  day, week, installation, stream, botkube_version, kubernetes_minor, distribution,
  max(window_end) as window_end,
  max(case when gap_seconds < length then window_end end) as observed_end,
  cast(sum(length) as bigint) as seconds,
  cast(sum(
    case when commands_observable = 1 and command_executed_withheld = 0 then length else 0 end
  ) as bigint) as commands_seconds,
  cast(sum(least(length, gap_seconds)) as bigint) as gap,
  cast(sum(crashes) as bigint) as crashes
from touched_intervals
where has_report = 1 and is_implausible = 0
group by day, week, installation, stream, botkube_version, kubernetes_minor, distribution;

create table if not exists touched_said as select * from stage_touched_said where false;

-- Time that is covered by windows of any stream, told once: by those whose report names a version
-- (what is covered by any report is the sum of these on a plain day), and by those that could show
-- commands. `gap` is what no stream observed of it: of each stretch of time counts what that window
-- observed that observed the greatest part of itself. Stretches are looked for among windows that
-- overlap, island by island: where all streams have the same windows, each is alone.
create view stage_touched_cover as
with plain as (
  select
    day, week, installation, coalesce(botkube_version, 'unknown') as botkube_version,
    cast(sum(seconds) as bigint) as seconds,
    cast(sum(commands_seconds) as bigint) as commands_seconds, cast(sum(gap) as bigint) as gap,
    cast(sum(crashes) as bigint) as crashes
  from touched_said as s
  where exists (
      select 1 from touched_plain as p where p.installation = s.installation and p.day = s.day
    )
  group by day, week, installation, coalesce(botkube_version, 'unknown')
),
mixed as (
  select
    day, week, installation, coalesce(botkube_version, 'unknown') as botkube_version,
    case when commands_observable = 1 and command_executed_withheld = 0 then 1 else 0 end
      as shows_commands,
    window_start, window_end, length, max(greatest(0, length - gap_seconds)) as observed,
    cast(sum(crashes) as bigint) as crashes
  from touched_intervals as i
  where has_report = 1 and is_implausible = 0
    and not exists (
      select 1 from touched_plain as p where p.installation = i.installation and p.day = i.day
    )
  group by
    day, week, installation, coalesce(botkube_version, 'unknown'),
    case when commands_observable = 1 and command_executed_withheld = 0 then 1 else 0 end,
    window_start, window_end, length
),
told as (
  select
    m.day, m.week, m.installation, k.what,
    case when k.what = 'version' then m.botkube_version else '' end as botkube_version,
    m.window_start, m.window_end, m.length, max(m.observed) as observed,
    cast(sum(m.crashes) as bigint) as crashes
  from mixed as m
  cross join (
    select 'report' as what union all select 'version' union all select 'commands'
  ) as k
  where k.what <> 'commands' or m.shows_commands = 1
  group by
    m.day, m.week, m.installation, k.what,
    case when k.what = 'version' then m.botkube_version else '' end,
    m.window_start, m.window_end, m.length
),
islands as (
  select
    *,
    sum(case when window_start < end_before then 0 else 1 end) over (
      partition by installation, day, what, botkube_version
      order by window_start, window_end rows between unbounded preceding and current row
    ) as island,
    case when window_start >= end_before and window_end <= start_after then 1 else 0 end as is_alone
  from (
    select
      *,
      coalesce(
        max(window_end) over (
          partition by installation, day, what, botkube_version
          order by window_start, window_end rows between unbounded preceding and 1 preceding
        ),
        0
      ) as end_before,
      coalesce(
        lead(window_start) over (
          partition by installation, day, what, botkube_version
          order by window_start, window_end
        ),
        window_end
      ) as start_after
    from told
  ) as ordered
),
stretches as (
  select
    day, installation, what, botkube_version, island, edge as stretch_start,
    lead(edge) over (
      partition by day, installation, what, botkube_version, island order by edge
    ) as stretch_end
  from (
    select day, installation, what, botkube_version, island, window_start as edge
    from islands where is_alone = 0
    union distinct
    select day, installation, what, botkube_version, island, window_end
    from islands where is_alone = 0
  ) as edges
)
select day, week, installation, 'version' as what, botkube_version, seconds, gap, crashes
from plain
union all
select
  day, week, installation, 'report', '', cast(sum(seconds) as bigint), cast(sum(gap) as bigint), 0
from plain group by day, week, installation
union all
select day, week, installation, 'commands', '', cast(sum(commands_seconds) as bigint), 0, 0
from plain group by day, week, installation
union all
select
  day, week, installation, what, botkube_version,
  cast(sum(seconds) as bigint), cast(sum(seconds - observed) as bigint),
  cast(sum(crashes) as bigint)
from (
  select
    day, week, installation, what, botkube_version, is_alone * length as seconds,
    is_alone * observed as observed, crashes
  from islands
  union all
  select
    i.day, i.week, i.installation, i.what, i.botkube_version,
    s.stretch_end - s.stretch_start,
    max(floor((s.stretch_end - s.stretch_start) * i.observed * 1.0 / i.length)), 0
  from stretches as s
  join islands as i
    on i.day = s.day and i.installation = s.installation and i.what = s.what
    and i.botkube_version = s.botkube_version and i.island = s.island
    and i.window_start <= s.stretch_start and i.window_end >= s.stretch_end
  group by
    i.day, i.week, i.installation, i.what, i.botkube_version, s.stretch_start, s.stretch_end
) as pieces
group by day, week, installation, what, botkube_version;

create table if not exists touched_cover as select * from stage_touched_cover where false;

create view stage_version_days as
select day, week, installation, botkube_version, seconds, gap, crashes
from touched_cover where what = 'version';

create table if not exists version_days as select * from stage_version_days where false;

-- Facts: one row per installation, day and key ----------------------------------------------------

-- `observed` is whether the windows behind it could show the whole category: commands, events, or,
-- of a failed notification, the attempts beside it.
create view stage_facts as
select
  day, week, installation, event, botkube_version,
  platform, command, result, reason, what, type, field, kind, observed,
  cast(sum(least_count) as bigint) as count, cast(sum(is_floor) as bigint) as raised
from (
  select
    i.day, i.week, i.installation, c.event, c.botkube_version,
    c.platform, c.command, c.result, c.reason, c.what, c.type, c.field, c.kind, c.least_count,
    c.is_floor,
    case
      when i.has_report = 0 then 0
      when c.event = 'command_executed'
      then case when i.commands_observable = 1 and i.command_executed_withheld = 0 then 1 else 0 end
      when c.event = 'event_handled' or c.event = 'notification_failed'
      then
        case
          when i.events_observable = 1 and i.event_handled_withheld = 0
            and i.notification_failed_withheld = 0
          then 1 else 0
        end
      else 1
    end as observed
  from touched_counts as c
  join touched_intervals as i
    on i.day = c.day and i.installation = c.installation and i.stream = c.stream and i.seq = c.seq
    and i.window_start = c.window_start and i.window_end = c.window_end
    and i.is_implausible = c.is_implausible
  where i.is_implausible = 0
) as told
group by
  day, week, installation, event, botkube_version,
  platform, command, result, reason, what, type, field, kind, observed;

create table if not exists facts as select * from stage_facts where false;

-- What the last window of a day says: its last report of Kubernetes, and of BotKube the last that
-- names exactly one version and of which something was observed. Streams whose last windows end
-- together may say different things: then it is several versions, and a Kubernetes that nobody
-- knows.
create view stage_touched_latest as
select
  day, installation,
  case when min(named) <> max(named) then 'several' else max(named) end as botkube_version,
  case when min(minor) = max(minor) then max(minor) end as kubernetes_minor,
  case when min(place) = max(place) then max(place) end as distribution,
  max(case when named is not null then observed_end end) as named_end,
  max(window_end) as report_end
from (
  select
    day, installation, window_end, observed_end,
    case when nth_named = 1 and is_named = 1 then botkube_version end as named,
    case when nth = 1 then kubernetes_minor end as minor,
    case when nth = 1 then distribution end as place
  from (
    select
      *,
      rank() over (partition by installation, day order by window_end desc) as nth,
      rank() over (
        partition by installation, day, is_named order by coalesce(observed_end, 0) desc
      ) as nth_named
    from (
      select
        day, installation, botkube_version, kubernetes_minor, distribution, window_end,
        observed_end,
        case
          when botkube_version <> 'several' and observed_end is not null then 1 else 0
        end as is_named
      from touched_said
    ) as said
  ) as ordered
) as latest
group by day, installation;

create table if not exists touched_latest as select * from stage_touched_latest where false;

-- One row per installation and day, over its streams.
create view stage_touched_days as
select
  d.*, l.botkube_version, l.kubernetes_minor, l.distribution, l.named_end, l.report_end,
  coalesce(r.seconds, 0) as report_seconds, coalesce(r.gap, 0) as gap_seconds,
  coalesce(c.seconds, 0) as commands_seconds,
  case
    when d.seen > 0 and r.seconds = 86400 and d.unreported = 0 and d.gaps = 0
      and d.events_discarded = 0 and d.late_lines = 0 and d.event_handled_withheld = 0
      and d.event_handled_off = 0
      and d.events_blind = 0
    then 1 else 0
  end as is_whole
from (
  select
    day, week, installation,
    cast(sum(1 - is_implausible) as bigint) as windows,
    cast(sum(is_implausible * length) as bigint) as implausible_seconds,
    min(case when is_implausible = 0 then window_start end) as first_start,
    max(case when is_implausible = 0 then window_end end) as last_end,
    cast(sum(plausible * has_report) as bigint) as reports,
    cast(sum(plausible * (1 - has_report)) as bigint) as unreported,
    max(case when plausible = 1 and has_report = 0 then window_end end) as unreported_end,
    max(
      case
        when plausible = 1
          and (
            has_report = 0 or gap_seconds > 0 or botkube_version = 'several'
            or (botkube_version is null and withheld > 0)
          )
        then window_end
      end
    ) as unseen_end,
    cast(sum(plausible * is_contradicted) as bigint) as contradicted,
    cast(sum(plausible * (1 - has_report) * length) as bigint) as unreported_seconds,
    cast(sum(case when plausible = 1 and botkube_version is not null then 1 else 0 end) as bigint)
      as seen,
    max(
      case when plausible = 1 and (botkube_version is not null or counted > 0) then 1 else 0 end
    ) as active,
    max(case when plausible = 1 and botkube_version = 'several' then 1 else 0 end) as has_several,
    cast(sum(case when plausible = 1 and gap_seconds > 0 then 1 else 0 end) as bigint) as gaps,
    cast(sum(plausible * least(length, gap_seconds_rotated)) as bigint)
      as gap_seconds_rotated,
    cast(sum(plausible * least(length, gap_seconds_overtaken)) as bigint)
      as gap_seconds_overtaken,
    cast(sum(plausible * least(length, gap_seconds_backpressure)) as bigint)
      as gap_seconds_backpressure,
    cast(sum(plausible * least(length, gap_seconds_restarted)) as bigint)
      as gap_seconds_restarted,
    cast(sum(plausible * least(length, gap_seconds_unreadable)) as bigint)
      as gap_seconds_unreadable,
    cast(sum(plausible * least(length, gap_seconds_pod_gone)) as bigint)
      as gap_seconds_pod_gone,
    cast(sum(plausible * least(length, gap_seconds_stopped)) as bigint)
      as gap_seconds_stopped,
    cast(sum(plausible * least(length, gap_seconds_state_lost)) as bigint)
      as gap_seconds_state_lost,
    cast(sum(plausible * events_discarded) as bigint) as events_discarded,
    cast(sum(plausible * late_lines) as bigint) as late_lines,
    max(case when plausible = 1 and late_lines > 0 then received_day end) as late_until,
    cast(sum(case when plausible = 1 and events_discarded > 0 then length else 0 end) as bigint)
      as discarded_seconds,
    cast(sum(plausible * application_crashed_withheld) as bigint) as application_crashed_withheld,
    cast(sum(plausible * command_executed_withheld) as bigint) as command_executed_withheld,
    cast(sum(plausible * command_refused_withheld) as bigint) as command_refused_withheld,
    cast(sum(plausible * configuration_error_withheld) as bigint) as configuration_error_withheld,
    cast(sum(plausible * event_handled_withheld) as bigint) as event_handled_withheld,
    cast(sum(plausible * integration_enabled_withheld) as bigint) as integration_enabled_withheld,
    cast(sum(plausible * notification_failed_withheld) as bigint) as notification_failed_withheld,
    cast(sum(case when plausible = 1 and withheld > 0 then length else 0 end) as bigint)
      as withheld_seconds,
    cast(sum(case when plausible = 1 and is_off > 0 then 1 else 0 end) as bigint) as off_windows,
    cast(sum(case when plausible = 1 and is_short > 0 then length else 0 end) as bigint)
      as short_seconds,
    cast(sum(case when plausible = 1 and event_handled_off <> 0 then 1 else 0 end) as bigint)
      as event_handled_off,
    max(plausible * application_crashed_raised) as application_crashed_raised,
    max(plausible * event_handled_raised) as event_handled_raised,
    max(plausible * notification_failed_raised) as notification_failed_raised,
    cast(sum(
      case when plausible = 1 and has_report = 1 and configuration_error_withheld = 0 then 1 else 0 end
    ) as bigint) as configuration_windows,
    cast(sum(
      case
        when plausible = 1 and commands_observable = 1 and command_executed_withheld = 0
        then 1 else 0
      end
    ) as bigint) as commands_windows,
    cast(sum(
      case
        when plausible = 1 and botkube_version is not null and coalesce(commands_observable, 0) = 0
        then 1 else 0
      end
    ) as bigint) as commands_blind,
    cast(sum(
      case
        when plausible = 1 and botkube_version is not null and coalesce(events_observable, 0) = 0
        then 1 else 0
      end
    ) as bigint) as events_blind,
    -- Of a platform: 2 that it is on, 0 off, 1 that a BotKube may have run of which nobody knows.
    max(case when plausible = 1 then coalesce(2 * slack_enabled, may_run) end) as slack_said,
    max(case when plausible = 1 then coalesce(2 * socket_slack_enabled, may_run) end) as socket_slack_said,
    max(case when plausible = 1 then coalesce(2 * cloud_slack_enabled, may_run) end) as cloud_slack_said,
    max(case when plausible = 1 then coalesce(2 * mattermost_enabled, may_run) end) as mattermost_said,
    max(case when plausible = 1 then coalesce(2 * teams_enabled, may_run) end) as teams_said,
    max(case when plausible = 1 then coalesce(2 * cloud_teams_enabled, may_run) end) as cloud_teams_said,
    max(case when plausible = 1 then coalesce(2 * discord_enabled, may_run) end) as discord_said,
    max(case when plausible = 1 then coalesce(2 * elasticsearch_enabled, may_run) end) as elasticsearch_said,
    max(case when plausible = 1 then coalesce(2 * webhook_enabled, may_run) end) as webhook_said,
    max(case when plausible = 1 then coalesce(2 * pager_duty_enabled, may_run) end) as pager_duty_said
  from (
    select
      *, 1 - is_implausible as plausible,
      case
        when botkube_version is not null
          or application_crashed_withheld + command_executed_withheld + command_refused_withheld
          + configuration_error_withheld + event_handled_withheld + integration_enabled_withheld
          + notification_failed_withheld > 0
        then 1
      end as may_run,
      application_crashed_withheld + command_executed_withheld + command_refused_withheld
      + configuration_error_withheld + event_handled_withheld + integration_enabled_withheld
      + notification_failed_withheld as withheld,
      case
        when application_crashed_off <> 0
          or command_executed_off <> 0
          or command_refused_off <> 0
          or configuration_error_off <> 0
          or event_handled_off <> 0
          or integration_enabled_off <> 0
          or notification_failed_off <> 0
        then 1 else 0
      end as is_off,
      case
        when application_crashed_off < 0
          or command_executed_off < 0
          or command_refused_off < 0
          or configuration_error_off < 0
          or event_handled_off < 0
          or integration_enabled_off < 0
          or notification_failed_off < 0
        then 1 else 0
      end as is_short
    from touched_intervals
  ) as i
  group by day, week, installation
) as d
left join touched_latest as l on l.installation = d.installation and l.day = d.day
left join touched_cover as r
  on r.installation = d.installation and r.day = d.day and r.what = 'report'
left join touched_cover as c
  on c.installation = d.installation and c.day = d.day and c.what = 'commands';

create table if not exists touched_days as select * from stage_touched_days where false;

create table if not exists installation_days as select * from touched_days where false;

-- One row per installation, day and platform that was enabled on it or had events.
create view stage_platform_days as
select
  d.day, d.week, d.installation, p.platform, max(d.is_whole) as is_whole, max(p.enabled) as enabled,
  cast(sum(p.events) as bigint) as events
from touched_days as d
join (
  select day, installation, 'slack' as platform, 1 as enabled, cast(0 as bigint) as events
  from touched_days where slack_said = 2
  union all
  select day, installation, 'socketSlack' as platform, 1 as enabled, cast(0 as bigint) as events
  from touched_days where socket_slack_said = 2
  union all
  select day, installation, 'cloudSlack' as platform, 1 as enabled, cast(0 as bigint) as events
  from touched_days where cloud_slack_said = 2
  union all
  select day, installation, 'mattermost' as platform, 1 as enabled, cast(0 as bigint) as events
  from touched_days where mattermost_said = 2
  union all
  select day, installation, 'teams' as platform, 1 as enabled, cast(0 as bigint) as events
  from touched_days where teams_said = 2
  union all
  select day, installation, 'cloudTeams' as platform, 1 as enabled, cast(0 as bigint) as events
  from touched_days where cloud_teams_said = 2
  union all
  select day, installation, 'discord' as platform, 1 as enabled, cast(0 as bigint) as events
  from touched_days where discord_said = 2
  union all
  select day, installation, 'elasticsearch' as platform, 1 as enabled, cast(0 as bigint) as events
  from touched_days where elasticsearch_said = 2
  union all
  select day, installation, 'webhook' as platform, 1 as enabled, cast(0 as bigint) as events
  from touched_days where webhook_said = 2
  union all
  select day, installation, 'pagerDuty' as platform, 1 as enabled, cast(0 as bigint) as events
  from touched_days where pager_duty_said = 2
  union all
  select facts.day, facts.installation, facts.platform, 0, sum(facts.count)
  from facts
  join touched_days as t on t.day = facts.day and t.installation = facts.installation
  where facts.event = 'event_handled'
  group by facts.day, facts.installation, facts.platform
) as p
  on p.day = d.day and p.installation = d.installation
group by d.day, d.week, d.installation, p.platform;

create table if not exists platform_days as select * from stage_platform_days where false;

-- One row per installation and week, made anew for each week that a touched day is in.
create view stage_touched_weeks as
select
  week, installation, max(active) as active,
  coalesce(
    max(case when nth_named = 1 then botkube_version end),
    case when max(has_several) = 1 then 'several' else 'unknown' end
  ) as botkube_version,
  coalesce(max(case when nth_report = 1 then kubernetes_minor end), 'unknown') as kubernetes_minor,
  coalesce(max(case when nth_report = 1 then distribution end), 'unknown') as distribution,
  coalesce(max(case when nth_named = 1 then named_end end), 0) as named_end,
  coalesce(max(case when nth_report = 1 then report_end end), 0) as report_end,
  max(unreported_end) as unreported_end, max(unseen_end) as unseen_end,
  cast(sum(contradicted) as bigint) as contradicted,
  cast(sum(windows) as bigint) as windows,
  cast(sum(implausible_seconds) as bigint) as implausible_seconds,
  min(first_start) as first_start, max(last_end) as last_end,
  cast(sum(unreported) as bigint) as unreported,
  cast(sum(unreported_seconds) as bigint) as unreported_seconds,
  cast(sum(report_seconds) as bigint) as report_seconds,
  cast(sum(gaps) as bigint) as gaps, cast(sum(gap_seconds) as bigint) as gap_seconds,
  cast(sum(gap_seconds_rotated) as bigint) as gap_seconds_rotated,
  cast(sum(gap_seconds_overtaken) as bigint) as gap_seconds_overtaken,
  cast(sum(gap_seconds_backpressure) as bigint) as gap_seconds_backpressure,
  cast(sum(gap_seconds_restarted) as bigint) as gap_seconds_restarted,
  cast(sum(gap_seconds_unreadable) as bigint) as gap_seconds_unreadable,
  cast(sum(gap_seconds_pod_gone) as bigint) as gap_seconds_pod_gone,
  cast(sum(gap_seconds_stopped) as bigint) as gap_seconds_stopped,
  cast(sum(gap_seconds_state_lost) as bigint) as gap_seconds_state_lost,
  cast(sum(events_discarded) as bigint) as events_discarded,
  cast(sum(discarded_seconds) as bigint) as discarded_seconds,
  cast(sum(application_crashed_withheld) as bigint) as application_crashed_withheld,
  cast(sum(command_executed_withheld) as bigint) as command_executed_withheld,
  cast(sum(command_refused_withheld) as bigint) as command_refused_withheld,
  cast(sum(configuration_error_withheld) as bigint) as configuration_error_withheld,
  cast(sum(event_handled_withheld) as bigint) as event_handled_withheld,
  cast(sum(integration_enabled_withheld) as bigint) as integration_enabled_withheld,
  cast(sum(notification_failed_withheld) as bigint) as notification_failed_withheld,
  cast(sum(withheld_seconds) as bigint) as withheld_seconds,
  cast(sum(off_windows) as bigint) as off_windows,
  cast(sum(short_seconds) as bigint) as short_seconds,
  cast(sum(configuration_windows) as bigint) as configuration_windows,
  cast(sum(commands_windows) as bigint) as commands_windows,
  cast(sum(commands_seconds) as bigint) as commands_seconds,
  cast(sum(commands_blind) as bigint) as commands_blind,
  cast(sum(events_blind) as bigint) as events_blind,
  -- Of whom a count was raised, small ones are not known: all of the week is in no rate of these.
  max(application_crashed_raised) as application_crashed_raised,
  max(event_handled_raised) as event_handled_raised,
  max(notification_failed_raised) as notification_failed_raised,
  cast(sum(
    case
      when active = 1 or gaps > 0 or event_handled_withheld > 0 or events_discarded > 0 then 1 else 0
    end
  ) - case when max(event_handled_raised) = 1 then 0 else sum(is_whole) end as bigint)
    as days_left_out,
  max(slack_said) as slack_said, max(socket_slack_said) as socket_slack_said,
  max(cloud_slack_said) as cloud_slack_said, max(mattermost_said) as mattermost_said,
  max(teams_said) as teams_said, max(cloud_teams_said) as cloud_teams_said,
  max(discord_said) as discord_said, max(elasticsearch_said) as elasticsearch_said,
  max(webhook_said) as webhook_said, max(pager_duty_said) as pager_duty_said
from (
  select
    *,
    row_number() over (
      partition by installation, week
      order by case when botkube_version is not null then 0 else 1 end, day desc
    ) as nth_named,
    row_number() over (
      partition by installation, week order by case when reports > 0 then 0 else 1 end, day desc
    ) as nth_report
  from installation_days
  where exists (
      select 1 from touched
      where touched.installation = installation_days.installation
        and touched.day - mod(touched.day + 3, 7) = installation_days.week
    )
) as ordered
group by week, installation;

create table if not exists installation_weeks as select * from stage_touched_weeks where false;

-- Audit -------------------------------------------------------------------------------------------

-- Time between the last window of a stream's day and the first of its next, and why nothing is there.
create view between_days as
select
  installation, end_before as since, first_start as until,
  case
    when first_seq > seq_before + 1 then 'delivery'
    when first_stopped + stopped_before > 0 then 'stopped'
    else 'hole'
  end as reason
from (
  select
    *, lag(last_seq) over (partition by installation, stream order by day) as seq_before,
    lag(last_end) over (partition by installation, stream order by day) as end_before,
    lag(last_stopped) over (partition by installation, stream order by day) as stopped_before
  from stream_days
) as ordered
where first_start > end_before;

-- Time in a stream of which something may be missing: windows were sent that never arrived, nobody
-- says why there are none, or a state that was restored counts the same seqs again. Of a stop of ten
-- minutes an agent says nothing, and nothing is lost by it. How long the windows before the first
-- were nobody knows: no longer than the longest of its day, as far as can be told.
create view holes as
select installation, since as hole_start, until as hole_end
from between_days where reason = 'delivery' or (reason = 'hole' and until > since + 600)
union all
select installation, first_start - (first_seq - 1) * longest, first_start
from (
  select
    installation, first_seq, first_start, longest,
    row_number() over (partition by installation, stream order by day) as nth
  from stream_days
) as ordered
where nth = 1 and first_seq > 1
union all
select installation, hole_start, hole_end from stream_days where hole_start is not null
union all
select installation, day * 86400, day * 86400 + 86400
from (
  select
    *, lag(last_seq) over (partition by installation, stream order by day) as seq_before
  from stream_days
) as ordered
where reused > 0 or steps_back > 0 or first_seq <= seq_before;

-- Time in which an installation may have said what nobody heard: holes, stops of its agent, and
-- what lies between two streams of it, as where it was switched off or its state was lost.
-- `is_lost` is whether what was counted in it may be gone.
create view silences as
select installation, hole_start as since, hole_end as until, 1 as is_hole, 1 as is_lost from holes
union all
select installation, since, until, 0, 0 from between_days where reason = 'stopped'
union all
select installation, end_before, first_start, 0, case when nth = 1 then 1 else 0 end
from (
  select
    installation, first_start,
    row_number() over (partition by installation, stream order by day) as nth,
    max(last_end) over (
      partition by installation order by first_start, last_end
      rows between unbounded preceding and 1 preceding
    ) as end_before
  from stream_days
) as ordered
-- Of a short stop a stream reads on; what was not sent before another begins is gone.
where first_start > end_before + case when nth = 1 then 0 else 600 end
union all
-- Where a state was lost, a stream that had ended by then was to go on; others may have gone on. Of
-- one that had ended a day before it was given back, more likely.
select
  later.installation, greatest(max(earlier.last_end), later.first_start - 86400),
  later.first_start, 0, 1
from (
  select
    installation, stream, first_start, first_lost,
    row_number() over (partition by installation, stream order by day) as nth
  from stream_days
) as later
join (
  select installation, stream, max(last_end) as last_end
  from stream_days group by installation, stream
) as earlier
  on earlier.installation = later.installation and earlier.stream <> later.stream
  and earlier.last_end < later.first_start
where later.nth = 1 and later.first_lost = 1
group by later.installation, later.stream, later.first_start
having later.first_start > max(earlier.last_end);

create view audit_windows as
select
  installation, stream,
  date '1970-01-01' + cast(min(day) as integer) as first_day,
  date '1970-01-01' + cast(max(day) as integer) as last_day,
  min(first_seq) as first_seq, max(highest_seq) as last_seq,
  cast(sum(windows) as bigint) as windows,
  greatest(0, max(highest_seq) - cast(sum(windows) as bigint)) as windows_missing,
  cast(sum(missing_seconds + case
    when first_seq > seq_before + 1 then greatest(0, first_start - end_before) else 0
  end) as bigint) as seconds_missing,
  cast(sum(stopped_seconds + case
    when first_seq <= seq_before + 1 and first_stopped + stopped_before > 0
    then greatest(0, first_start - end_before) else 0
  end) as bigint) as seconds_stopped,
  cast(sum(hole_seconds + case
    when first_seq <= seq_before + 1 and first_stopped + stopped_before = 0
    then greatest(0, first_start - end_before) else 0
  end) as bigint) as seconds_unexplained,
  cast(sum(overlap_seconds + greatest(0, coalesce(end_before - first_start, 0))) as bigint)
    as seconds_overlapping,
  cast(sum(unreported) as bigint) as windows_without_report,
  max(total) - cast(sum(counted) as bigint) as facts_missing,
  cast(sum(doubled) as bigint) as rows_doubled,
  cast(sum(reused + case when first_seq <= seq_before then 1 else 0 end) as bigint) as seqs_reused,
  cast(sum(retried_late) as bigint) as windows_retried_late
from (
  select
    *, lag(last_seq) over (partition by installation, stream order by day) as seq_before,
    lag(last_end) over (partition by installation, stream order by day) as end_before,
    lag(last_stopped) over (partition by installation, stream order by day) as stopped_before
  from stream_days
) as ordered
group by installation, stream;

-- Answers -----------------------------------------------------------------------------------------

-- From when to when there is data.
create view reach as
select
  min(first_start) as first_start,
  min(case when windows > 0 then week end) as first_week,
  max(case when windows > 0 then week end) as last_week
from installation_weeks;

-- Until when all is there that can be expected: no longer than anything was received, and as far as
-- each stream has come whose newest window was received on that day or the two before. And until
-- when most must be there, whoever is behind: two days before that.
create view expected as
select
  case
    -- While a part is pending, nothing is all there.
    when exists (select 1 from pending) then 0
    else least(
      max(newest.day) * 86400, max(s.last_end),
      min(case when s.last_received >= newest.day - 2 then s.last_end else newest.day * 86400 end)
    )
  end as until,
  case
    when exists (select 1 from pending) then 0
    else least(max(newest.day) * 86400 - 172800, max(s.last_end))
  end as most_until
from (
  select
    last_end, last_received,
    row_number() over (partition by installation, stream order by day desc) as nth
  from stream_days
) as s
cross join (select max(received_day) as day from loads where calls > 0) as newest
where s.nth = 1;

-- Each week from the first to the last: of one in which nobody sent anything there is something to
-- say, too.
create view calendar as
with recursive following (week, last_week) as (
  select first_week, last_week from reach where first_week is not null
  union all
  select week + 7, last_week from following where week < last_week
)
select week from following;

create view days as
select calendar.week, calendar.week + nth.day as day
from calendar
cross join (
  select 0 as day union all select 1 union all select 2 union all select 3
  union all select 4 union all select 5 union all select 6
) as nth;

-- Weeks with counts that were raised to an operator's minimum, by event.
create view raised as
select
  week,
  max(case when event = 'application_crashed' then 1 else 0 end) as application_crashed,
  max(case when event = 'command_executed' then 1 else 0 end) as command_executed,
  max(case when event = 'configuration_error' then 1 else 0 end) as configuration_error,
  max(case when event = 'event_handled' then 1 else 0 end) as event_handled,
  max(case when event = 'notification_failed' then 1 else 0 end) as notification_failed
from facts where raised > 0 group by week;

-- The weeks that anything may be asked of, and what keeps a week's answers from being whole.
create view weeks as
select
  w.week, date '1970-01-01' + cast(w.week as integer) as monday,
  case when reach.first_start <= w.week * 86400 then 1 else 0 end as begun,
  case when expected.until >= (w.week + 7) * 86400 then 1 else 0 end as ended,
  case
    when reach.first_start <= w.week * 86400
      and greatest(expected.until, expected.most_until) >= (w.week + 7) * 86400
    then 1 else 0
  end as is_whole,
  case when w.week = reach.first_week then 1 else 0 end as is_first,
  coalesce(silent.has_holes, 0) as has_holes,
  case
    when w.unreported = 0 and w.gaps = 0 and w.events_discarded = 0 and w.off_windows = 0
      and doubted.week is null and w.contradicted = 0 and silent.week is null
      and late_in.week is null and expected.until >= (w.week + 8) * 86400
      and reach.first_start <= w.week * 86400
    then 1 else 0
  end as lossless,
  w.installations, w.unknown_version, w.unknown_minor, w.unknown_distribution, w.days_left_out,
  w.commands_windows, w.commands_seconds, w.commands_blind, w.events_blind,
  -- Withheld, or raised to a minimum: what was counted is not known.
  w.application_crashed_withheld + coalesce(raised.application_crashed, 0)
    as application_crashed_untold,
  w.command_executed_withheld + coalesce(raised.command_executed, 0) as command_executed_untold,
  w.configuration_error_withheld + coalesce(raised.configuration_error, 0)
    as configuration_error_untold,
  w.event_handled_withheld + coalesce(raised.event_handled, 0) as event_handled_untold,
  w.notification_failed_withheld + coalesce(raised.notification_failed, 0)
    as notification_failed_untold,
  coalesce(silent.is_stopped, 0) as is_stopped,
  case
    when late_in.week is null and expected.until >= (w.week + 8) * 86400 then 1 else 0
  end as is_punctual,
  case when doubted.week is null then 1 else 0 end as is_plausible,
  case when w.contradicted = 0 then 1 else 0 end as is_agreed,
  case
    when w.unreported = 0 and w.gaps = 0 and w.contradicted = 0 and doubted.week is null
      and silent.week is null
    then 1 else 0
  end as is_seen,
  case
    when coalesce(silent.is_version_late, 0) = 0 and w.is_version_late = 0
      and w.contradicted = 0 and doubted.week is null
    then 1 else 0
  end as is_version_last,
  case
    when coalesce(silent.is_report_late, 0) = 0 and w.is_report_late = 0
      and w.contradicted = 0 and doubted.week is null
    then 1 else 0
  end as is_report_last
from (
  select
    c.week, cast(coalesce(sum(active), 0) as bigint) as installations,
    coalesce(sum(unreported), 0) as unreported, coalesce(sum(gaps), 0) as gaps,
    coalesce(sum(events_discarded), 0) as events_discarded,
    coalesce(sum(off_windows), 0) as off_windows, coalesce(sum(contradicted), 0) as contradicted,
    coalesce(max(case when unseen_end >= named_end then 1 else 0 end), 0) as is_version_late,
    coalesce(max(case when unreported_end >= report_end then 1 else 0 end), 0) as is_report_late,
    cast(sum(days_left_out) as bigint) as days_left_out,
    sum(case when active = 1 and botkube_version in ('several', 'unknown') then 1 else 0 end)
      as unknown_version,
    sum(case when active = 1 and kubernetes_minor = 'unknown' then 1 else 0 end) as unknown_minor,
    sum(case when active = 1 and distribution = 'unknown' then 1 else 0 end)
      as unknown_distribution,
    cast(sum(case when commands_windows > 0 then 1 else 0 end) as bigint) as commands_windows,
    cast(sum(commands_seconds) as bigint) as commands_seconds,
    sum(commands_blind) as commands_blind, sum(events_blind) as events_blind,
    sum(application_crashed_withheld) as application_crashed_withheld,
    sum(command_executed_withheld) as command_executed_withheld,
    sum(configuration_error_withheld) as configuration_error_withheld,
    sum(event_handled_withheld) as event_handled_withheld,
    sum(notification_failed_withheld) as notification_failed_withheld
  from calendar as c
  left join installation_weeks on installation_weeks.week = c.week
  group by c.week
) as w
cross join reach
cross join expected
left join (
  -- What an installation says of itself last may have been said while nobody heard it.
  select
    all_weeks.week, max(silences.is_hole) as has_holes, max(1 - silences.is_hole) as is_stopped,
    max(case when silences.until >= one.named_end then 1 else 0 end) as is_version_late,
    max(case when silences.until >= one.report_end then 1 else 0 end) as is_report_late
  from calendar as all_weeks
  join silences
    on silences.since < (all_weeks.week + 7) * 86400 and silences.until > all_weeks.week * 86400
  left join installation_weeks as one
    on one.installation = silences.installation and one.week = all_weeks.week and one.active = 1
  group by all_weeks.week
) as silent
  on silent.week = w.week
left join (
  -- What was counted late is of a window before, which may be of the day before, or, where a clock
  -- was put back, of any day until it was received. Whether something was, only a report says.
  select all_weeks.week
  from calendar as all_weeks
  join (
    select day, greatest(day, late_until) as until from installation_days where late_lines > 0
  ) as late
    on late.day <= all_weeks.week + 7 and late.until >= all_weeks.week
  union distinct
  select all_weeks.week
  from calendar as all_weeks
  join installation_days as one on one.day = all_weeks.week + 7
  where one.unreported > 0 or one.gap_seconds_state_lost > 0
  union distinct
  select all_weeks.week
  from calendar as all_weeks
  join silences
    on silences.is_lost = 1 and silences.since < (all_weeks.week + 8) * 86400
    and silences.until > (all_weeks.week + 7) * 86400
) as late_in
  on late_in.week = w.week
left join (
  -- What came with a wrong clock on one of the two days after may be of the week's last hours.
  select distinct all_weeks.week
  from calendar as all_weeks
  join installation_days as one on one.day >= all_weeks.week and one.day <= all_weeks.week + 8
  where one.implausible_seconds > 0
) as doubted
  on doubted.week = w.week
left join raised on raised.week = w.week;

-- Of whom it cannot be told whether they were active in a week.
create view undecided_weeks as
select installation, week
from installation_weeks
where active = 0
  and (gaps > 0 or off_windows > 0 or events_discarded > 0 or withheld_seconds > 0)
union distinct
select may.installation, may.week
from (
  select s.installation, w.week
  from silences as s
  join calendar as w
    on s.since < (w.week + 7) * 86400 and s.until > w.week * 86400
  union all
  select one.installation, w.week
  from installation_days as one
  join calendar as w on one.day >= w.week and one.day <= w.week + 8
  where one.implausible_seconds > 0
) as may
where not exists (
    select 1 from installation_weeks as one
    where one.installation = may.installation and one.week = may.week and one.active = 1
  );

create view undecided as
select week, count(*) as installations from undecided_weeks group by week;

-- The cluster of each active installation: the last that it had named by the end of the week, else
-- the first that it named after.
create view cluster_weeks as
select week, installation, group_id
from (
  select
    w.week, w.installation, g.group_id,
    row_number() over (
      partition by w.installation, w.week
      order by
        case when g.day <= w.week + 6 then 0 when g.day is null then 2 else 1 end,
        case when g.day <= w.week + 6 then -g.day else g.day end
    ) as nth
  from installation_weeks as w
  left join (
    select installation, day, group_id
    from (
      select
        installation, day, group_id,
        lag(group_id) over (partition by installation order by day) as group_before
      from (
        select installation, day, max(group_id) as group_id
        from identities where group_id is not null group by installation, day
      ) as daily
    ) as ordered
    where group_before is null or group_before <> group_id
  ) as g
    on g.installation = w.installation
  where w.active = 1
) as told
where nth = 1;

-- Of whom it cannot be told in which cluster they ended a week: that is told when it changes and once
-- a day, and on the day on which it was told last, or after it, there was time in which nobody heard.
-- Where none was told by then: in the time until the first.
create view unsure_clusters as
select distinct s.installation, w.week
from silences as s
-- Who never names one has none to hide.
join (
  select installation, min(day) as first_day from identities where group_id is not null
  group by installation
) as named
  on named.installation = s.installation
join calendar as w
  on s.since < greatest(w.week + 7, named.first_day + 1) * 86400
  -- Of one that ended before it was told again, a day later, that is the week after.
  and s.until > (w.week - 2) * 86400
join installation_weeks as one
  on one.installation = s.installation and one.week = w.week and one.active = 1
where not exists (
    select 1 from identities as g
    where g.installation = s.installation and g.group_id is not null
      and g.day * 86400 >= s.until and g.day <= w.week + 6
  );

create view active_installations as
select
  weeks.monday as week,
  weeks.is_first = 0 and weeks.ended = 1 and weeks.is_report_last = 1
    and this_week.week is null and last_week.week is null and not_new.week is null
    and unsure.week is null and cluster_not_new.week is null
    as is_complete,
  weeks.installations,
  coalesce(i.fresh, 0) as installations_new, coalesce(i.kept, 0) as installations_kept,
  coalesce(i.returned, 0) as installations_returned, coalesce(i.gone, 0) as installations_gone,
  coalesce(c.active, 0) as clusters,
  coalesce(c.fresh, 0) as clusters_new, coalesce(c.kept, 0) as clusters_kept,
  coalesce(c.returned, 0) as clusters_returned, coalesce(c.gone, 0) as clusters_gone,
  coalesce(alone.installations, 0) as installations_without_cluster
from weeks
left join (
  select
    week, cast(sum(fresh) as bigint) as fresh, cast(sum(kept) as bigint) as kept,
    cast(sum(returned) as bigint) as returned, cast(sum(gone) as bigint) as gone
  from (
    select
      week, case when week_before is null then 1 else 0 end as fresh,
      case when week_before = week - 7 then 1 else 0 end as kept,
      case when week_before < week - 7 then 1 else 0 end as returned, 0 as gone
    from (
      select week, lag(week) over (partition by installation order by week) as week_before
      from installation_weeks where active = 1
    ) as earlier
    union all
    select week + 7, 0, 0, 0, 1
    from (
      select week, lead(week) over (partition by installation order by week) as week_after
      from installation_weeks where active = 1
    ) as later
    where week_after is null or week_after > week + 7
  ) as told
  group by week
) as i
  on i.week = weeks.week
left join (
  select
    week, cast(sum(active) as bigint) as active,
    cast(sum(fresh) as bigint) as fresh, cast(sum(kept) as bigint) as kept,
    cast(sum(returned) as bigint) as returned, cast(sum(gone) as bigint) as gone
  from (
    select
      week, 1 as active, case when week_before is null then 1 else 0 end as fresh,
      case when week_before = week - 7 then 1 else 0 end as kept,
      case when week_before < week - 7 then 1 else 0 end as returned, 0 as gone
    from (
      select week, lag(week) over (partition by group_id order by week) as week_before
      from (select distinct week, group_id from cluster_weeks where group_id is not null) as one
    ) as earlier
    union all
    select week + 7, 0, 0, 0, 0, 1
    from (
      select week, lead(week) over (partition by group_id order by week) as week_after
      from (select distinct week, group_id from cluster_weeks where group_id is not null) as one
    ) as later
    where week_after is null or week_after > week + 7
  ) as told
  group by week
) as c
  on c.week = weeks.week
left join (
  select week, count(*) as installations from cluster_weeks where group_id is null group by week
) as alone
  on alone.week = weeks.week
left join undecided as this_week on this_week.week = weeks.week
left join undecided as last_week on last_week.week = weeks.week - 7
left join (
  -- Weeks with new ones that may have been there before.
  select distinct first_active.week
  from (
    select installation, min(week) as week from installation_weeks where active = 1
    group by installation
  ) as first_active
  join undecided_weeks as u
    on u.installation = first_active.installation and u.week < first_active.week
) as not_new
  on not_new.week = weeks.week
left join (
  -- Of this week, or of the one before.
  select distinct unsure_clusters.week + 7 * since.weeks as week
  from unsure_clusters
  cross join (select 0 as weeks union all select 1) as since
) as unsure
  on unsure.week = weeks.week
left join (
  -- Weeks with clusters in which one is there for certain the first time, and one may have been
  -- before: one that names its clusters, and of which nobody knows in an earlier week whether it was
  -- active, or where.
  select distinct first_named.week
  from (
    select group_id, min(week) as week from cluster_weeks
    where group_id is not null and not exists (
        select 1 from unsure_clusters as s
        where s.installation = cluster_weeks.installation and s.week = cluster_weeks.week
      )
    group by group_id
  ) as first_named
  join (
    select installation, week from undecided_weeks
    union distinct
    select installation, week from unsure_clusters
  ) as u
    on u.week < first_named.week
  join identities as g on g.installation = u.installation and g.group_id is not null
) as cluster_not_new
  on cluster_not_new.week = weeks.week;

create view version_adoption as
select
  weeks.monday as week,
  weeks.begun = 1 and weeks.ended = 1 and undecided.week is null and weeks.unknown_version = 0
    and weeks.is_version_last = 1
    as is_complete,
  w.botkube_version, count(*) as installations, weeks.installations as installations_all,
  count(*) * 1.0 / weeks.installations as share
from installation_weeks as w
join weeks on weeks.week = w.week
left join undecided on undecided.week = w.week
where w.active = 1
group by
  weeks.monday, weeks.begun, weeks.ended, undecided.week, weeks.unknown_version,
  weeks.is_version_last, w.botkube_version, weeks.installations;

create view kubernetes_adoption as
select
  weeks.monday as week,
  weeks.begun = 1 and weeks.ended = 1 and undecided.week is null
    and weeks.unknown_minor = 0 and weeks.unknown_distribution = 0 and weeks.is_report_last = 1
    as is_complete,
  w.kubernetes_minor, w.distribution,
  count(*) as installations, weeks.installations as installations_all,
  count(*) * 1.0 / weeks.installations as share
from installation_weeks as w
join weeks on weeks.week = w.week
left join undecided on undecided.week = w.week
where w.active = 1
group by
  weeks.monday, weeks.begun, weeks.ended, undecided.week, weeks.unknown_minor,
  weeks.unknown_distribution, weeks.is_report_last, w.kubernetes_minor, w.distribution, weeks.installations;

create view version_by_kubernetes as
select
  weeks.monday as week,
  weeks.begun = 1 and weeks.ended = 1 and undecided.week is null and weeks.unknown_version = 0
    and weeks.unknown_minor = 0 and weeks.unknown_distribution = 0
    and weeks.is_version_last = 1 and weeks.is_report_last = 1
    as is_complete,
  w.botkube_version, w.kubernetes_minor, w.distribution,
  count(*) as installations, weeks.installations as installations_all,
  count(*) * 1.0 / weeks.installations as share
from installation_weeks as w
join weeks on weeks.week = w.week
left join undecided on undecided.week = w.week
where w.active = 1
group by
  weeks.monday, weeks.begun, weeks.ended, undecided.week, weeks.unknown_version,
  weeks.unknown_minor, weeks.unknown_distribution, weeks.is_version_last, weeks.is_report_last,
  w.botkube_version, w.kubernetes_minor, w.distribution, weeks.installations;

-- What is asked of installations in a week is asked of these.
create view active_weeks as select * from installation_weeks where active = 1;

create view integrations as
select
  weeks.monday as week,
  weeks.begun = 1 and weeks.ended = 1 and undecided.week is null
    and weeks.installations = p.enabled + p.disabled and weeks.is_seen = 1
    as is_complete,
  p.kind, p.platform, p.enabled as installations, p.disabled as installations_disabled,
  weeks.installations - p.enabled - p.disabled as installations_unknown,
  weeks.installations as installations_all,
  case when p.kind = 'bot' then p.enabled * 1.0 / nullif(p.enabled + p.disabled, 0) end as share,
  p.enabled * 1.0 / nullif(weeks.installations, 0) as share_at_least
from (
  select
    week, 'bot' as kind, 'slack' as platform,
    cast(sum(case when slack_said = 2 then 1 else 0 end) as bigint) as enabled,
    cast(sum(case when slack_said = 0 then 1 else 0 end) as bigint) as disabled
  from active_weeks group by week
  union all
  select
    week, 'bot' as kind, 'socketSlack' as platform,
    cast(sum(case when socket_slack_said = 2 then 1 else 0 end) as bigint) as enabled,
    cast(sum(case when socket_slack_said = 0 then 1 else 0 end) as bigint) as disabled
  from active_weeks group by week
  union all
  select
    week, 'bot' as kind, 'cloudSlack' as platform,
    cast(sum(case when cloud_slack_said = 2 then 1 else 0 end) as bigint) as enabled,
    cast(sum(case when cloud_slack_said = 0 then 1 else 0 end) as bigint) as disabled
  from active_weeks group by week
  union all
  select
    week, 'bot' as kind, 'mattermost' as platform,
    cast(sum(case when mattermost_said = 2 then 1 else 0 end) as bigint) as enabled,
    cast(sum(case when mattermost_said = 0 then 1 else 0 end) as bigint) as disabled
  from active_weeks group by week
  union all
  select
    week, 'bot' as kind, 'teams' as platform,
    cast(sum(case when teams_said = 2 then 1 else 0 end) as bigint) as enabled,
    cast(sum(case when teams_said = 0 then 1 else 0 end) as bigint) as disabled
  from active_weeks group by week
  union all
  select
    week, 'bot' as kind, 'cloudTeams' as platform,
    cast(sum(case when cloud_teams_said = 2 then 1 else 0 end) as bigint) as enabled,
    cast(sum(case when cloud_teams_said = 0 then 1 else 0 end) as bigint) as disabled
  from active_weeks group by week
  union all
  select
    week, 'bot' as kind, 'discord' as platform,
    cast(sum(case when discord_said = 2 then 1 else 0 end) as bigint) as enabled,
    cast(sum(case when discord_said = 0 then 1 else 0 end) as bigint) as disabled
  from active_weeks group by week
  union all
  select
    week, 'sink' as kind, 'elasticsearch' as platform,
    cast(sum(case when elasticsearch_said = 2 then 1 else 0 end) as bigint) as enabled,
    cast(sum(case when elasticsearch_said = 0 then 1 else 0 end) as bigint) as disabled
  from active_weeks group by week
  union all
  select
    week, 'sink' as kind, 'webhook' as platform,
    cast(sum(case when webhook_said = 2 then 1 else 0 end) as bigint) as enabled,
    cast(sum(case when webhook_said = 0 then 1 else 0 end) as bigint) as disabled
  from active_weeks group by week
  union all
  select
    week, 'sink' as kind, 'pagerDuty' as platform,
    cast(sum(case when pager_duty_said = 2 then 1 else 0 end) as bigint) as enabled,
    cast(sum(case when pager_duty_said = 0 then 1 else 0 end) as bigint) as disabled
  from active_weeks group by week
) as p
join weeks on weeks.week = p.week
left join undecided on undecided.week = weeks.week;

create view commands as
select
  weeks.monday as week,
  weeks.lossless = 1 and weeks.commands_blind = 0 and weeks.command_executed_untold = 0
    as is_complete,
  f.platform, f.command, cast(sum(f.count) as bigint) as count,
  cast(sum(case when f.result = 'failed' then f.count else 0 end) as bigint) as count_failed,
  count(distinct f.installation) as installations,
  count(distinct case when f.result = 'failed' then f.installation end) as installations_failed,
  weeks.commands_windows as installations_observable,
  weeks.commands_seconds / 3600.0 as hours_observable
from facts as f
join weeks on weeks.week = f.week
where f.event = 'command_executed' and f.observed = 1
group by
  weeks.monday, weeks.lossless, weeks.commands_blind, weeks.command_executed_untold,
  weeks.commands_windows, weeks.commands_seconds, f.platform, f.command;

create view events_per_day as
select
  weeks.monday as week,
  weeks.days_left_out = 0 and weeks.begun = 1 and weeks.ended = 1 and weeks.has_holes = 0
    and weeks.is_plausible = 1 and weeks.is_agreed = 1 and weeks.is_stopped = 0
    and weeks.is_punctual = 1
    as is_complete,
  d.platform, count(*) as installation_days, count(distinct d.installation) as installations,
  cast(sum(d.events) as bigint) as total,
  min(case when 100 * d.nth >= 10 * d.days then d.events end) as p10,
  min(case when 100 * d.nth >= 25 * d.days then d.events end) as p25,
  min(case when 100 * d.nth >= 50 * d.days then d.events end) as median,
  min(case when 100 * d.nth >= 75 * d.days then d.events end) as p75,
  min(case when 100 * d.nth >= 90 * d.days then d.events end) as p90,
  min(case when 100 * d.nth >= 99 * d.days then d.events end) as p99,
  weeks.days_left_out + coalesce(holed.days, 0) + coalesce(lost.days, 0) as days_left_out
from (
  select
    p.week, p.platform, p.installation, p.events,
    row_number() over (partition by p.week, p.platform order by p.events) as nth,
    count(*) over (partition by p.week, p.platform) as days
  from platform_days as p
  join installation_weeks as whose on whose.week = p.week and whose.installation = p.installation
  where p.is_whole = 1 and whose.event_handled_raised = 0 and not exists (
      select 1 from holes
      where holes.installation = p.installation
        and holes.hole_start < p.day * 86400 + 86400 and holes.hole_end > p.day * 86400
    )
) as d
join weeks on weeks.week = d.week
left join (
  select i.week, count(*) as days
  from installation_days as i
  join installation_weeks as whose on whose.week = i.week and whose.installation = i.installation
  where i.is_whole = 1 and whose.event_handled_raised = 0 and exists (
      select 1 from holes
      where holes.installation = i.installation
        and holes.hole_start < i.day * 86400 + 86400 and holes.hole_end > i.day * 86400
    )
  group by i.week
) as holed
  on holed.week = d.week
left join (
  select one.week, count(*) as days
  from (
    select distinct days.week, days.day, holes.installation
    from holes
    join days
      on holes.hole_start <= days.day * 86400 and holes.hole_end >= days.day * 86400 + 86400
    where not exists (
        select 1 from installation_days as i
        where i.installation = holes.installation and i.day = days.day and i.windows > 0
      )
  ) as one
  group by one.week
) as lost
  on lost.week = d.week
group by
  weeks.monday, weeks.days_left_out, weeks.begun, weeks.ended, weeks.has_holes,
  weeks.is_plausible, weeks.is_agreed, weeks.is_stopped, weeks.is_punctual,
  holed.days, lost.days, d.platform;

-- What is known of events and failures of installations of which none of these was raised in the
-- week.
create view rated_facts as
select
  f.week, f.installation, f.event, f.platform, f.what, f.reason, f.count,
  f.observed * (1 - greatest(whose.event_handled_raised, whose.notification_failed_raised))
    as observed
from facts as f
join installation_weeks as whose on whose.week = f.week and whose.installation = f.installation
where f.event in ('event_handled', 'notification_failed');

create view notification_failures as
select
  weeks.monday as week,
  weeks.lossless = 1 and weeks.events_blind = 0 and weeks.event_handled_untold = 0
    and weeks.notification_failed_untold = 0
    as is_complete,
  f.platform, f.what, f.reason,
  case when f.what = 'event' and f.platform <> 'unknown' then coalesce(f.failed, 0) end as failed,
  a.attempts, f.failed * 1.0 / nullif(a.attempts, 0) as rate,
  f.installations,
  case when f.what = 'event' and f.platform <> 'unknown' then f.installations_failed end
    as installations_failed,
  a.installations as installations_observed,
  case when f.what = 'event' and f.platform <> 'unknown' then f.installations_unobserved end
    as installations_unobserved,
  f.failed_all
from (
  select
    week, platform, what, reason,
    cast(sum(case when observed = 1 then count else 0 end) as bigint) as failed,
    count(distinct installation) as installations,
    count(distinct case when observed = 1 then installation end) as installations_failed,
    count(distinct case when observed = 0 then installation end) as installations_unobserved,
    cast(sum(count) as bigint) as failed_all
  from rated_facts where event = 'notification_failed'
  group by week, platform, what, reason
) as f
join weeks on weeks.week = f.week
left join (
  select
    week, platform, 'event' as what, cast(sum(count) as bigint) as attempts,
    count(distinct installation) as installations
  from rated_facts
  where observed = 1 and platform <> 'unknown'
    and (event = 'event_handled' or (event = 'notification_failed' and what = 'event'))
  group by week, platform
) as a
  on a.week = f.week and a.platform = f.platform and a.what = f.what;

create view configuration_errors as
select
  weeks.monday as week,
  weeks.lossless = 1 and weeks.configuration_error_untold = 0 as is_complete,
  f.reason, f.field, nullif(f.platform, '') as platform, cast(sum(f.count) as bigint) as count,
  count(distinct f.installation) as installations,
  coalesce(able.installations, 0) as installations_observable,
  -- Of one of those that could show none the others are not known.
  case when min(whose.configuration_windows) > 0
    then count(distinct f.installation) * 1.0 / able.installations
  end as share
from facts as f
join weeks on weeks.week = f.week
join installation_weeks as whose on whose.week = f.week and whose.installation = f.installation
left join (
  -- Who could show faults: had a window in which none was withheld.
  select week, count(*) as installations
  from installation_weeks where active = 1 and configuration_windows > 0 group by week
) as able
  on able.week = f.week
where f.event = 'configuration_error'
group by
  weeks.monday, weeks.lossless, weeks.configuration_error_untold, able.installations,
  f.reason, f.field, f.platform;

create view crashes as
select
  weeks.monday as week,
  weeks.lossless = 1 and weeks.application_crashed_untold = 0 as is_complete,
  v.botkube_version, cast(sum(v.crashes) as bigint) as crashes,
  sum(v.seconds) / 3600.0 as installation_hours,
  sum(v.crashes) * 3600000.0 / nullif(sum(v.seconds), 0) as per_1000_hours,
  cast(sum(v.is_shown) as bigint) as installations,
  cast(sum(case when v.crashes > 0 then 1 else 0 end) as bigint) as installations_crashed,
  weeks.installations as installations_all
from (
  select
    d.week, d.installation, d.botkube_version,
    max(of_all.shows) as is_shown,
    greatest(
      0, cast(sum(of_all.shows * d.seconds) as bigint) - cast(sum(of_all.shows * d.gap) as bigint)
    ) as seconds,
    sum(of_all.shows * d.crashes) as crashes
  from version_days as d
  join (
    -- A day on which crashes were withheld can show none, nor a week in which some were raised all.
    select
      one.day, one.installation,
      case
        when one.application_crashed_withheld = 0 then 1 - whose.application_crashed_raised else 0
      end as shows
    from installation_days as one
    join installation_weeks as whose
      on whose.week = one.week and whose.installation = one.installation
  ) as of_all
    on of_all.day = d.day and of_all.installation = d.installation
  group by d.week, d.installation, d.botkube_version
) as v
join weeks on weeks.week = v.week
group by
  weeks.monday, weeks.lossless, weeks.application_crashed_untold, weeks.installations,
  v.botkube_version;

create view crash_kinds as
select
  weeks.monday as week,
  weeks.lossless = 1 and weeks.application_crashed_untold = 0 as is_complete,
  f.botkube_version, f.kind, cast(sum(f.count) as bigint) as crashes,
  count(distinct f.installation) as installations
from facts as f
join weeks on weeks.week = f.week
where f.event = 'application_crashed'
group by
  weeks.monday, weeks.lossless, weeks.application_crashed_untold, f.botkube_version, f.kind;

create view completeness as
select
  weeks.monday as week,
  weeks.begun = 1 and weeks.ended = 1 and weeks.has_holes = 0 and weeks.is_plausible = 1
    as is_complete,
  weeks.is_whole = 1 as is_whole, t.reason,
  sum(t.seconds) / 3600.0 as hours, count(distinct t.installation) as installations,
  sum(t.seconds) * 1.0 / spans.seconds as share
from (
  select week, installation, 'observed' as reason,
  greatest(0, report_seconds - gap_seconds) as seconds
  from installation_weeks where report_seconds > gap_seconds
  union all
  select week, installation, 'rotated',
  gap_seconds_rotated from installation_weeks where gap_seconds_rotated > 0
  union all
  select week, installation, 'overtaken',
  gap_seconds_overtaken from installation_weeks where gap_seconds_overtaken > 0
  union all
  select week, installation, 'backpressure',
  gap_seconds_backpressure from installation_weeks where gap_seconds_backpressure > 0
  union all
  select week, installation, 'restarted',
  gap_seconds_restarted from installation_weeks where gap_seconds_restarted > 0
  union all
  select week, installation, 'unreadable',
  gap_seconds_unreadable from installation_weeks where gap_seconds_unreadable > 0
  union all
  select week, installation, 'pod_gone',
  gap_seconds_pod_gone from installation_weeks where gap_seconds_pod_gone > 0
  union all
  select week, installation, 'stopped',
  gap_seconds_stopped from installation_weeks where gap_seconds_stopped > 0
  union all
  select week, installation, 'state_lost',
  gap_seconds_state_lost from installation_weeks where gap_seconds_state_lost > 0
  union all
  select week, installation, 'no_report', unreported_seconds
  from installation_weeks where unreported_seconds > 0
  union all
  select week, installation, 'short', short_seconds from installation_weeks where short_seconds > 0
  union all
  select week, installation, 'withheld', withheld_seconds
  from installation_weeks where withheld_seconds > 0
  union all
  select week, installation, 'discarded', discarded_seconds
  from installation_weeks where discarded_seconds > 0
  union all
  select week, installation, 'implausible', implausible_seconds
  from installation_weeks where implausible_seconds > 0
  union all
  select week, installation, reason, seconds
  from (
    select week, installation, 'delivery' as reason, missing_seconds as seconds from stream_days
    union all
    select week, installation, 'stopped', stopped_seconds from stream_days
    union all
    select week, installation, 'hole', hole_seconds from stream_days
    union all
    select
      c.week, b.installation, b.reason,
      least(b.until, (c.week + 7) * 86400) - greatest(b.since, c.week * 86400)
    from between_days as b
    join calendar as c on b.since < (c.week + 7) * 86400 and b.until > c.week * 86400
  ) as between_windows
  where seconds > 0
) as t
join weeks on weeks.week = t.week
join (
  select
    c.week, cast(sum(
      least(i.last_end, (c.week + 7) * 86400) - greatest(i.first_start, c.week * 86400)
    ) as bigint) as seconds
  from (
    select installation, min(first_start) as first_start, max(last_end) as last_end
    from installation_weeks where windows > 0 group by installation
  ) as i
  join calendar as c on i.first_start < (c.week + 7) * 86400 and i.last_end > c.week * 86400
  group by c.week
) as spans
  on spans.week = t.week
group by
  weeks.monday, weeks.begun, weeks.ended, weeks.is_whole, weeks.has_holes, weeks.is_plausible,
  t.reason, spans.seconds;
