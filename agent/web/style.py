"""The page's style sheet, and the hash by which the Content-Security-Policy allows it alone."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

STYLE = """\
:root{color-scheme:light dark;--text:#1b1f24;--soft:#57606a;--back:#fff;--card:#f5f7f9;
--line:#d0d7de;--link:#0550ae;--good:#0b57d0;--other:#a04a00;--mark:#fff3cd}
@media (prefers-color-scheme:dark){:root{--text:#e6e8eb;--soft:#a9b3bd;--back:#14171a;
--card:#1e2328;--line:#3b434b;--link:#8ab4f8;--good:#8ab4f8;--other:#f2b367;--mark:#4a3c10}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:66rem;padding:1rem;background:var(--back);color:var(--text);
font:16px/1.5 system-ui,sans-serif;overflow-wrap:break-word}
h1{font-size:1.6rem;margin:.5rem 0}
h2{font-size:1.2rem;margin:2.5rem 0 .5rem;padding-top:.5rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:1.5rem 0 .25rem}
p,ul,ol,dl,figure{margin:.5rem 0}
a{color:var(--link)}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.skip{position:absolute;left:-99rem}
.skip:focus{left:1rem;background:var(--back);padding:.5rem}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1rem;padding:0;list-style:none}
nav a{display:inline-block;padding:.25rem 0}
code,pre,time,dd{overflow-wrap:anywhere}
code,pre{font:.875em/1.5 ui-monospace,monospace}
pre{white-space:pre-wrap;background:var(--card);border:1px solid var(--line);padding:.75rem;
max-height:24rem;overflow:auto}
main>section:first-child h2{margin-top:1rem;border-top:0}
.answers{background:var(--card);border:1px solid var(--line);border-left:.4rem solid var(--good);
padding:.75rem 1rem;display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem}
.answers.quiet{border-left-color:var(--other)}
.answers dt{padding-top:.1rem}
dl.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(13rem,1fr));gap:.5rem}
dl.facts div{background:var(--card);border:1px solid var(--line);padding:.5rem .75rem}
dt{color:var(--soft);font-size:.875rem}
dd{margin:0}
dl.facts dd{font-size:1.1rem;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%;margin:.75rem 0}
caption{text-align:left;color:var(--soft);padding:.25rem 0}
th,td{text-align:left;vertical-align:top;padding:.35rem .75rem .35rem 0;
border-bottom:1px solid var(--line);font-weight:400}
thead th{color:var(--soft);font-size:.875rem}
tbody th{font-weight:600;min-width:6.5rem}
.figure{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
details{border-bottom:1px solid var(--line)}
summary{cursor:pointer;padding:.4rem 0}
summary .answer{color:var(--good)}
summary .answer.others{color:var(--other)}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,18rem),1fr));gap:1rem}
figure{margin:0;background:var(--card);border:1px solid var(--line);padding:.75rem;
display:flex;flex-direction:column;justify-content:space-between}
figcaption{font-size:.875rem}
svg{display:block;width:100%;height:4.5rem;margin-top:.5rem}
.axis{display:flex;justify-content:space-between;color:var(--soft);font-size:.8rem;margin:.1rem 0 0}
.base{fill:var(--line)}
.delivered{fill:var(--good)}
.others{fill:var(--other)}
.key::before{content:"";display:inline-block;width:.8em;height:.8em;margin:0 .4em 0 0;
background:var(--good)}
.key.not::before{background:var(--other)}
.key.none::before{background:var(--line);height:.25em}
footer{margin-top:3rem;color:var(--soft);font-size:.875rem}
@media (max-width:32rem){.answers{grid-template-columns:1fr;gap:0}.answers dd{margin-bottom:.25rem}
dl.facts{grid-template-columns:1fr 1fr}th,td{padding-right:.5rem}table{font-size:.9rem}}
"""

STYLE_HASH = f"sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}"
