// The report's style sheet.
#include "report/style.hpp"

#include <fmt/format.h>

#include "report/svg_chart.hpp"

namespace smoothcert::report {
namespace {

constexpr const char* kLayout = R"css(
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--surface);color:var(--ink);
 font:17px/1.55 Charter,'Bitstream Charter','Iowan Old Style','Source Serif Pro',Cambria,Georgia,'DejaVu Serif',serif}
main{max-width:880px;margin:0 auto;padding:3rem 1.5rem 5rem}
h1{font-size:2rem;line-height:1.2;font-weight:600;margin:0 0 .35rem;letter-spacing:-.01em;text-wrap:balance}
h2{font-size:1.28rem;line-height:1.3;font-weight:600;margin:3.2rem 0 .7rem;text-wrap:balance}
h3{font-size:1.02rem;font-weight:600;margin:1.8rem 0 .4rem}
p{margin:.7rem 0;max-width:42rem;overflow-wrap:anywhere}
.byline,figcaption,table,.note,nav,.banner,.reader,.files,.references,details{font-family:'Helvetica Neue',Helvetica,Arial,'Liberation Sans','DejaVu Sans',sans-serif}
.byline{color:var(--muted);font-size:.84rem;margin:0;max-width:none}
nav{font-size:.84rem;margin:1.6rem 0 0;padding:.55rem 0;border-top:1px solid var(--grid);border-bottom:1px solid var(--grid);display:flex;flex-wrap:wrap;gap:.2rem 1.2rem}
a{color:inherit;text-decoration-color:var(--pale);text-underline-offset:.18em}
a:hover{text-decoration-color:currentColor}
.abstract{margin:1.8rem 0 0}
.abstract p{max-width:44rem;font-size:1.06rem}
.banner{border-left:4px solid var(--accent);background:var(--tint);padding:.65rem .9rem;margin:.9rem 0;font-size:.9rem;line-height:1.5;max-width:none}
.banner b{font-weight:600}
figure{margin:1.6rem 0 2.2rem}
figcaption{font-size:.84rem;line-height:1.5;color:var(--muted);max-width:44rem;margin:.7rem 0 0;overflow-wrap:anywhere}
figcaption b{color:var(--ink);font-weight:600}
figure.table figcaption{margin:0 0 .5rem}
.scroll{overflow-x:auto;-webkit-overflow-scrolling:touch}
tbody td:nth-child(2):not(.n){min-width:9.5rem}
tbody td:last-child:not(.n):not(:nth-child(2)){white-space:nowrap}
ul.masking{margin:.3rem 0 0;padding-left:1.1rem}
ul.masking li{margin:.2rem 0}
.scroll:focus-visible,a:focus-visible{outline:2px solid var(--s0);outline-offset:2px}
table{border-collapse:collapse;font-size:.84rem;line-height:1.35;font-variant-numeric:tabular-nums lining-nums;width:100%;border-top:1.5px solid var(--ink);border-bottom:1.5px solid var(--ink)}
th,td{padding:.42rem .7rem;text-align:left;vertical-align:baseline;font-weight:400}
th:first-child,td:first-child{padding-left:.1rem}
th:last-child,td:last-child{padding-right:.1rem}
thead th{border-bottom:1px solid var(--ink);font-weight:600;vertical-align:bottom}
tbody th{font-weight:600;min-width:6.5rem;overflow-wrap:break-word}
.n{text-align:right;white-space:nowrap}
thead .n{white-space:normal}
tbody tr+tr>*{border-top:1px solid var(--grid)}
tr.quiet>*{color:var(--muted);font-weight:400;font-style:italic}
tbody tr.same>th{color:transparent}
tbody tr.same>*{border-top-color:transparent}
.note{font-size:.8rem;line-height:1.5;color:var(--muted);max-width:none;margin:.55rem 0 0}
.chart{display:block;max-width:100%;height:auto}
.narrow{display:none}
.grid-of-charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(255px,1fr));gap:1.2rem 1.4rem}
.grid-of-charts svg{width:100%}
table.images{width:auto;border:0;font-size:.78rem}
table.images th,table.images td{text-align:center;padding:.15rem .3rem;border:0;vertical-align:top}
table.images tbody th{text-align:right;font-weight:400;color:var(--muted);vertical-align:middle;padding-right:.6rem;position:sticky;left:0;background:var(--surface)}
table.images img{display:block;width:72px;height:72px;image-rendering:pixelated;border:1px solid var(--grid);margin:0 auto .15rem}
table.images .model th{font-weight:600;color:var(--ink);text-align:left;padding-top:1rem}
.right{color:var(--ink)}
.wrong{color:var(--accent);font-weight:600}

.plot svg{touch-action:pan-y}
.chart .cursor{fill:none;stroke:var(--ink);stroke-width:1;stroke-dasharray:2 2}
.reader{font-size:.8rem;line-height:1.5;margin:.2rem 0 0}
.reader label{display:flex;align-items:center;gap:.6rem;color:var(--muted)}
.reader input{flex:1;max-width:28rem;min-width:8rem;height:1.5rem;accent-color:var(--s0)}
.reader input:focus-visible,summary:focus-visible{outline:2px solid var(--s0);outline-offset:2px}
.reader output{display:flex;flex-wrap:wrap;gap:.1rem 1.1rem;min-height:1.5em;font-variant-numeric:tabular-nums lining-nums}
.reader b{font-weight:600}
.value::before{content:"";display:inline-block;width:.7em;height:.7em;border-radius:50%;margin-right:.4em;background:var(--muted)}
.files{font-size:.84rem;margin:.7rem 0}
.files dt{font-weight:600;margin-top:.5rem}
.files dd{margin:0;overflow-wrap:anywhere}
details{font-size:.84rem}
summary{cursor:pointer}
.figures{columns:18rem;padding-left:1.1rem}
.references{font-size:.84rem;line-height:1.5;padding-left:1.4rem;max-width:44rem;overflow-wrap:anywhere}

.settings tbody td,.settings tbody td:nth-child(2):not(.n){overflow-wrap:anywhere;white-space:normal;word-break:break-word}

@media(max-width:640px){
 body{font-size:16px}
 main{padding:1.6rem 1rem 3rem}
 h1{font-size:1.55rem}
 h2{margin-top:2.4rem}
 .wide{display:none}.narrow{display:block}
 table.images img{width:60px;height:60px}
 th,td{padding:.38rem .5rem}
 .scroll table:not(.images) tr>:first-child{position:sticky;left:0;background:var(--surface);padding-right:.6rem}
 .scroll{background:linear-gradient(to left,var(--grid),transparent) right/14px 100% no-repeat}
 .scroll table{background:linear-gradient(var(--surface),var(--surface)) right/14px 100% no-repeat}
 .stack thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
 .stack tr,.stack th,.stack td{display:block;padding:.1rem 0;border:0!important}
 .stack tr{padding:.45rem 0;border-top:1px solid var(--grid)!important}
}
@media print{
 :root{color-scheme:light}
 body{font-size:10.5pt}
 main{max-width:none;padding:0}
 nav,.reader{display:none}
 h2{break-after:avoid}
 figure,.banner{break-inside:avoid}
 .scroll{overflow:visible}
}
)css";

/// The dot before a value in a reader, in its curve's colour.
std::string value_colours() {
  std::string css;
  for (int i = 0; i < kStyles; ++i)
    css += fmt::format(".value.s{0}::before{{background:var(--s{0})}}\n", i);
  return css;
}

}  // namespace

std::string page_css() {
  const std::string light = palette_variables(light_palette()) + "--tint:#fdf3ec;";
  const std::string dark = palette_variables(dark_palette()) + "--tint:#2a211b;";
  return ":root{color-scheme:light dark;" + light +
         "}\n@media screen and (prefers-color-scheme:dark){:root{" + dark + "}}\n" +
         chart_css(variable_palette()) + kLayout + value_colours();
}

}  // namespace smoothcert::report
