"""The style sheet of HTML reports: one column on a phone, light, dark and on paper. Colours keep 4.5 : 1 for text, 3 : 1 for marks."""

CSS = """
:root{color-scheme:light dark;--page:#fff;--panel:#f4f6f9;--ink:#18212f;--soft:#535f6f;--line:#d5dbe4;--mark:#2f6fc4;--pale:#c9dcf5;
--warm:#b4440c;--grid:#e6eaf0;--warn:#fff4e5;--warnline:#d98b2b}
@media (prefers-color-scheme:dark){:root{--page:#11151b;--panel:#1a2029;--ink:#e8ecf2;--soft:#a6b1c0;--line:#364152;--mark:#78acf5;
--pale:#2b4265;--warm:#ff9d66;--grid:#252d39;--warn:#33260f;--warnline:#b57a2a}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,
sans-serif;overflow-wrap:anywhere}
main,header,footer{max-width:72rem;margin:0 auto;padding:0 1rem}
header{padding-top:2rem}
h1{font-size:clamp(1.35rem,4.2vw,1.9rem);line-height:1.25;margin:.1rem 0 .6rem}
h2{font-size:1.3rem;line-height:1.3;margin:0 0 .35rem}
h3{font-size:1.05rem;margin:1.6rem 0 .3rem}
p{margin:.4rem 0}
.eyebrow{color:var(--soft);font-size:.85rem;margin:0}
.lede{font-size:clamp(1.1rem,3.2vw,1.3rem);line-height:1.45;max-width:46rem}
.words,figcaption,.note{color:var(--soft);max-width:46rem}
section{margin:0;padding:2rem 0 .4rem;border-top:1px solid var(--line);margin-top:2rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.7rem;margin:1.3rem 0;padding:0}
.tiles div{background:var(--panel);border-radius:.6rem;padding:.7rem .9rem;min-width:0}
.tiles dt{color:var(--soft);font-size:.85rem}
.tiles dd{margin:0;font-size:1.5rem;font-weight:650;line-height:1.3;font-variant-numeric:tabular-nums}
.tiles dd small{display:block;font-size:.8rem;font-weight:400;color:var(--soft);line-height:1.35}
ul.points{padding-left:1.2rem;max-width:46rem;margin:.6rem 0}
ul.points li{margin:.35rem 0}
.warning{background:var(--warn);border-left:4px solid var(--warnline);padding:.6rem .9rem;border-radius:.3rem;max-width:46rem;margin:1rem 0}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.3rem 1.1rem;margin:1rem 0 0;padding:0}
a{color:var(--mark)}
a:focus-visible,.scroll:focus-visible,summary:focus-visible{outline:3px solid var(--mark);outline-offset:2px;border-radius:2px}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:1.2rem 2rem}
figure{margin:.9rem 0;min-width:0}
.narrow{max-width:31rem}.pair>*{min-width:0}.pair>.scroll,.pair>div>.scroll:first-child{margin-top:.9rem}
figure h4{margin:0 0 .2rem;font-size:.95rem}
figcaption{font-size:.92rem;margin-top:.4rem}
figcaption b{color:var(--ink);font-weight:600}
svg{display:block;width:100%;height:auto;font:11.5px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif;overflow:visible}
svg text{fill:var(--soft)}svg .name{fill:var(--ink)}svg .strong{fill:var(--ink);font-weight:600}
svg .name,svg .strong,svg .over{paint-order:stroke;stroke:var(--page);stroke-width:3px}
.grid{stroke:var(--grid);fill:none}.axis{stroke:var(--line);fill:none}.bar{fill:var(--mark)}.other{fill:var(--warm)}.share{fill:var(--pale)}
.line{stroke:var(--mark);fill:none;stroke-width:1.8;stroke-linejoin:round}.band{fill:var(--pale);opacity:.75}
.whole{stroke:var(--warm);fill:none;stroke-width:1.4;stroke-dasharray:5 3}svg .wholetext{fill:var(--warm)}
.dot{fill:var(--mark);stroke:var(--page)}.whisker{stroke:var(--mark);stroke-width:2;fill:none}
.thin{stroke:var(--mark);stroke-width:1.3;opacity:.6;fill:none}.cut{fill:none;stroke:var(--soft);stroke-dasharray:1 3}
.scroll{overflow-x:auto;max-width:100%;margin:.7rem 0}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--soft);padding-bottom:.3rem}
th,td{text-align:left;padding:.32rem .8rem .32rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600}thead th{overflow-wrap:normal;vertical-align:bottom}td.n,th.n{text-align:right}td.n{white-space:nowrap}
td,tbody th{min-width:3.6rem;max-width:22rem}tbody th{max-width:18rem;overflow-wrap:break-word}tbody th{font-weight:500}
tr.rest th,tr.rest td{color:var(--soft);font-style:italic}
details{margin:.5rem 0}summary{cursor:pointer;color:var(--mark);font-size:.92rem}
footer{color:var(--soft);font-size:.85rem;padding-top:1.5rem;padding-bottom:2.5rem}
@media (min-width:60rem){.pair{grid-template-columns:minmax(0,31rem) minmax(0,1fr)}
.beside{display:grid;grid-template-columns:31rem minmax(0,1fr);gap:0 2rem;align-items:center}}
@media (max-width:60rem){thead th{white-space:nowrap}}
@media (max-width:40rem){th,td{padding-right:.65rem}.tiles{grid-template-columns:repeat(2,minmax(0,1fr))}.tiles dd{font-size:1.15rem}}
@media print{:root{--page:#fff;--panel:#f4f6f9;--ink:#000;--soft:#444;--line:#bbb;--mark:#1f5cab;--pale:#c9dcf5;--warm:#9c3a08;
--grid:#e3e3e3;--warn:#fff;--warnline:#888}body{font-size:10.5pt}nav,details{display:none}header{padding-top:0}
main,header,footer{max-width:none;padding:0}figure,tr,.tiles div,.warning{break-inside:avoid}h2,h3,h4{break-after:avoid}
.scroll{overflow:visible}.pair{grid-template-columns:minmax(0,1fr)}table{font-size:8pt}thead th,td.n{white-space:normal}
td,tbody th{min-width:0}th,td{padding-right:.5rem}
.bar,.other,.share,.band,.tiles div{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
