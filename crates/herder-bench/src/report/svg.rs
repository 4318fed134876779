//! Plots: a bar for each contender, a panel for each table of a workload.

use crate::table::{Better, Table};

const WIDTH: f64 = 760.0;
/// Where the bars begin and end; their values stand behind them.
const LEFT: f64 = 160.0;
const RIGHT: f64 = 660.0;
const ROW: f64 = 18.0;
const HEAD: f64 = 48.0;
const FOOT: f64 = 34.0;

/// From this ratio of the longest to the shortest bar on, the axis is logarithmic.
const LOGARITHMIC: f64 = 30.0;

const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#24292f}.t{font-weight:600;font-size:14px}.s{fill:#57606a}\
.g{stroke:#d0d7de;stroke-width:1}.h{fill:#1a7f37}.r{fill:#8c959f}.o{fill:#54aeff}.bg{fill:#fff}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.s{fill:#9198a1}.g{stroke:#3d444d}\
.h{fill:#3fb950}.r{fill:#6e7681}.o{fill:#388bfd}.bg{fill:#0d1117}}";

/// The panels one below the other.
pub(super) fn draw(tables: &[&Table]) -> String {
    let mut y = 0.0;
    let mut panels = String::new();
    for table in tables {
        let bars = bars(table);
        if bars.is_empty() {
            continue;
        }
        panels += &panel(table, &bars, y);
        y += HEAD + ROW * bars.len() as f64 + FOOT;
    }
    let title = tables.first().map_or("", |table| &table.title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" width=\"{WIDTH}\" height=\"{y}\" \
         role=\"img\" aria-label=\"{}\">\n<style>{STYLE}</style>\n\
         <rect class=\"bg\" width=\"{WIDTH}\" height=\"{y}\"/>\n{panels}</svg>\n",
        escaped(title)
    )
}

struct Bar<'a> {
    contender: &'a str,
    value: f64,
}

fn bars(table: &Table) -> Vec<Bar<'_>> {
    let bar = |contender| Some(Bar { contender, value: table.figure(contender, &table.main)? });
    let bars = table.rows.iter().filter_map(|row| bar(row.contender.as_str()));
    bars.filter(|bar| bar.value > 0.0).collect()
}

/// Where a value is on the axis.
struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Axis {
    fn of(bars: &[Bar<'_>]) -> Self {
        let values = || bars.iter().map(|bar| bar.value);
        let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
        let logarithmic = most / least > LOGARITHMIC;
        // The shortest bar still shows.
        Self { low: if logarithmic { least / 2.0 } else { 0.0 }, high: most, logarithmic }
    }

    fn x(&self, value: f64) -> f64 {
        let part = if self.logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            value / self.high
        };
        LEFT + (RIGHT - LEFT) * part.clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            let decades = self.low.log10().ceil() as i32..=self.high.log10().floor() as i32;
            return decades.map(|decade| 10f64.powi(decade)).collect();
        }
        let rough = self.high / 5.0;
        let decade = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * decade).find(|step| *step >= rough);
        let step = step.unwrap_or(10.0 * decade);
        (0..=10).map(|index| f64::from(index) * step).filter(|tick| *tick <= self.high).collect()
    }
}

fn panel(table: &Table, bars: &[Bar<'_>], top: f64) -> String {
    let axis = Axis::of(bars);
    let better = if table.better == Better::Less { "less is better" } else { "more is better" };
    let scale = if axis.logarithmic { ", logarithmic" } else { "" };
    let mut text = format!(
        "<text class=\"t\" x=\"8\" y=\"{}\">{}</text>\n<text class=\"s\" x=\"8\" y=\"{}\">{} ({better}{scale})</text>\n",
        top + 20.0,
        escaped(&table.title),
        top + 38.0,
        escaped(&table.main)
    );
    let (first, last) = (top + HEAD, top + HEAD + ROW * bars.len() as f64);
    for tick in axis.ticks() {
        let x = axis.x(tick);
        text.extend([format!(
            "<line class=\"g\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{first}\" y2=\"{last}\"/>\n\
             <text class=\"s\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
            last + 16.0,
            number(tick)
        )]);
    }
    for (bar, y) in bars.iter().zip((0u32..).map(|row| first + ROW * f64::from(row))) {
        let class = match bar.contender {
            name if name.starts_with("herder") => "h",
            name if name.starts_with("raw") => "r",
            _ => "o",
        };
        let (name, end, base) = (escaped(bar.contender), axis.x(bar.value), y + 13.0);
        text.extend([format!(
            "<text x=\"{:.1}\" y=\"{base}\" text-anchor=\"end\">{name}</text>\n\
             <rect class=\"{class}\" x=\"{LEFT}\" y=\"{}\" width=\"{:.1}\" height=\"{}\"/>\n\
             <text class=\"s\" x=\"{:.1}\" y=\"{base}\">{}</text>\n",
            LEFT - 8.0,
            y + 2.0,
            end - LEFT,
            ROW - 4.0,
            end + 6.0,
            number(bar.value)
        )]);
    }
    text
}

/// With three digits that say something.
fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 || value == 0.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 0.1 => format!("{value:.2}"),
        value => format!("{value:.4}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::draw;
    use crate::table::{Better, Table};

    #[test]
    fn there_is_a_bar_for_each_figure_and_none_for_those_without() {
        let mut table = Table::new("A & B", "", &[("p10 µs", 1)], ("p10 µs", Better::Less));
        table.row("raw", &[50.0]);
        table.row("herder-ct", &[100.0]);
        table.failed("tokio-ct", "why");
        let text = draw(&[&table]);
        assert!(text.contains("A &amp; B") && text.contains("p10 µs (less is better)"), "{text}");
        assert!(text.contains("class=\"r\" x=\"160\"") && text.contains("width=\"500.0\""), "{text}");
        assert!(text.contains("width=\"250.0\"") && !text.contains("tokio"), "{text}");
        table.row("node", &[50_000.0]);
        assert!(draw(&[&table]).contains("logarithmic"));
    }
}
