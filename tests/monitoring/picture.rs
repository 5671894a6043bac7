//! The dashboard drawn from what a Prometheus answered: one picture for each row of panels, as SVG on a
//! light ground. A stand-in for a screenshot where there is no Grafana. Pure.

use std::fmt::Write as _;

/// Of a whole row, in which a dashboard has 24 columns.
const WIDTH: f64 = 960.0;
const COLUMN: f64 = WIDTH / 24.0;
/// Of one line of the grid, of which a panel has some.
const LINE: f64 = 28.0;
const GAP: f64 = 6.0;
const HEADING: f64 = 30.0;
/// Told from each other by people who see colours differently.
const COLOURS: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444",
];
const MEBIBYTE: f64 = 1_048_576.0;
/// As many series of a panel as have their name beside it.
const MOST_NAMES: usize = 7;

/// A series as it is drawn.
pub struct Series {
    pub name: String,
    /// Time and value, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// A panel with what it was answered.
pub struct Drawn<'a> {
    pub title: &'a str,
    pub kind: &'a str,
    pub unit: &'a str,
    pub place: [f64; 4],
    pub steps: &'a [(f64, String)],
    pub series: Vec<Series>,
}

/// The picture of one row; `span` is the first and the last time that it shows.
pub fn row(title: &str, panels: &[Drawn<'_>], span: (f64, f64)) -> String {
    let top = panels
        .iter()
        .map(|one| one.place[1])
        .fold(f64::MAX, f64::min);
    let bottom = panels.iter().map(|one| one.place[1] + one.place[3]);
    let height = HEADING + (bottom.fold(0.0, f64::max) - top) * LINE;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n<title>{0}</title>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#f4f5f7\"/>\n\
         <text x=\"8\" y=\"20\" font-size=\"14\" font-weight=\"bold\">{0}</text>\n",
        escaped(title)
    );
    for panel in panels {
        let [x, y, w, h] = panel.place;
        let (x, y) = (x * COLUMN + GAP / 2.0, HEADING + (y - top) * LINE);
        let (w, h) = (w * COLUMN - GAP, h * LINE - GAP);
        let _ = writeln!(
            svg,
            "<g transform=\"translate({x:.1} {y:.1})\"><rect width=\"{w:.1}\" height=\"{h:.1}\" rx=\"3\" \
             fill=\"white\" stroke=\"#d8dade\"/>"
        );
        let _ = writeln!(
            svg,
            "<text x=\"8\" y=\"16\" font-weight=\"bold\">{}</text>",
            escaped(&fitting(panel.title, w - 16.0, 6.9))
        );
        match panel.kind {
            "stat" => stat(&mut svg, panel, (w, h)),
            "table" => table(&mut svg, panel, (w, h)),
            _ => lines(&mut svg, panel, (w, h), span),
        }
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn last(series: &Series) -> Option<f64> {
    let finite = series.points.iter().rev().map(|(_, value)| *value);
    finite.into_iter().find(|value| value.is_finite())
}

fn stat(svg: &mut String, panel: &Drawn<'_>, (w, h): (f64, f64)) {
    let value = panel.series.iter().find_map(last);
    let reached = panel.steps.iter().rev();
    let mut reached = reached.filter(|(from, _)| value.is_some_and(|value| value >= *from));
    let colour = match reached.next().map(|(_, colour)| colour.as_str()) {
        Some("red") => "#f2b8b5",
        Some("orange" | "yellow") => "#f7e0a3",
        Some("green") => "#bfe3cd",
        _ => "#e6e8eb",
    };
    let _ = writeln!(
        svg,
        "<rect x=\"4\" y=\"24\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"22\" text-anchor=\"middle\">{}</text>",
        w - 8.0,
        h - 28.0,
        w / 2.0,
        f64::midpoint(h, 36.0),
        value.map_or_else(|| "no data".to_owned(), |value| shown(value, panel.unit))
    );
}

fn table(svg: &mut String, panel: &Drawn<'_>, (w, h): (f64, f64)) {
    for (number, series) in (0_u16..).zip(&panel.series) {
        let y = 38.0 + 16.0 * f64::from(number);
        if y > h - 4.0 {
            break;
        }
        let value = last(series).map_or_else(String::new, |value| shown(value, panel.unit));
        let _ = writeln!(
            svg,
            "<text x=\"10\" y=\"{y:.1}\">{}</text><text x=\"{:.1}\" y=\"{y:.1}\" \
             text-anchor=\"end\">{value}</text>",
            escaped(&fitting(&series.name, w - 60.0, 5.6)),
            w - 10.0
        );
    }
}

/// Where in a panel its lines are drawn, and what the edges mean.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    span: (f64, f64),
    most: f64,
}

impl Frame {
    fn of(panel: &Drawn<'_>, (w, h): (f64, f64), span: (f64, f64)) -> Self {
        let named = panel.series.len().min(MOST_NAMES);
        let rows = u32::try_from(named.div_ceil(2)).unwrap_or_default();
        let values = panel.series.iter().flat_map(|one| &one.points);
        let values = values.map(|(_, value)| *value).filter(|it| it.is_finite());
        let most = values.fold(0.0, f64::max);
        let most = if panel.unit == "bytes" {
            rounded_up(most / MEBIBYTE) * MEBIBYTE
        } else {
            rounded_up(most)
        };
        Self {
            left: 54.0,
            right: w - 10.0,
            top: 28.0,
            bottom: h - 22.0 - 13.0 * f64::from(rows),
            span,
            most,
        }
    }

    fn across(&self, time: f64) -> f64 {
        let (from, to) = self.span;
        self.left + (time - from) / (to - from).max(1.0) * (self.right - self.left)
    }

    fn up(&self, value: f64) -> f64 {
        self.bottom - value / self.most * (self.bottom - self.top)
    }

    fn axes(&self, svg: &mut String, unit: &str) {
        let (left, right) = (self.left, self.right);
        for part in [0.0, 0.5, 1.0] {
            let y = self.up(self.most * part);
            let _ = writeln!(
                svg,
                "<line x1=\"{left}\" y1=\"{y:.1}\" x2=\"{right:.1}\" y2=\"{y:.1}\" stroke=\"#e3e5e8\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#666\">{}</text>",
                left - 4.0,
                y + 4.0,
                shown(self.most * part, unit)
            );
        }
        for (time, anchor) in [(self.span.0, "start"), (self.span.1, "end")] {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" fill=\"#666\">{:.0} s</text>",
                self.across(time),
                self.bottom + 13.0,
                time - self.span.0
            );
        }
    }

    /// One line; it is broken where there is no value.
    fn line(&self, svg: &mut String, series: &Series, colour: &str) {
        for part in series.points.split(|(_, value)| !value.is_finite()) {
            let points = part.iter();
            let points = points
                .map(|(time, value)| format!("{:.1},{:.1}", self.across(*time), self.up(*value)));
            let points: Vec<_> = points.collect();
            if !points.is_empty() {
                let _ = writeln!(
                    svg,
                    "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"/>",
                    points.join(" ")
                );
            }
        }
    }

    /// The name of a line, below the picture.
    fn name(&self, svg: &mut String, number: usize, name: &str, colour: &str) {
        let half = (self.right - 6.0) / 2.0;
        let place = u32::try_from(number).unwrap_or_default();
        let x = 10.0 + half * f64::from(place % 2);
        let y = self.bottom + 28.0 + 13.0 * f64::from(place / 2);
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"8\" height=\"3\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
            y - 5.0,
            x + 12.0,
            escaped(&fitting(name, half - 14.0, 6.4))
        );
    }
}

fn lines(svg: &mut String, panel: &Drawn<'_>, size: (f64, f64), span: (f64, f64)) {
    let frame = Frame::of(panel, size, span);
    frame.axes(svg, panel.unit);
    for (number, series) in panel.series.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        frame.line(svg, series, colour);
        let more = panel.series.len() - number;
        match number + 1 {
            MOST_NAMES if more > 1 => frame.name(svg, number, &format!("and {more} more"), "#999"),
            place if place <= MOST_NAMES => frame.name(svg, number, &series.name, colour),
            _ => {}
        }
    }
}

/// 1, 2 or 5 times a power of ten, so that the axis has numbers that people read.
fn rounded_up(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let power = 10.0_f64.powf(most.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    let step = steps.into_iter().find(|step| step * power >= most * 0.999);
    step.unwrap_or(10.0) * power
}

fn shown(value: f64, unit: &str) -> String {
    let number = |value: f64| {
        let text = if value.abs() >= 100.0 || value.fract().abs() < 0.005 {
            format!("{value:.0}")
        } else if value.abs() >= 1.0 {
            format!("{value:.1}")
        } else {
            format!("{value:.2}")
        };
        text.trim_start_matches("-0").to_owned()
    };
    let number = |value: f64| match number(value) {
        empty if empty.is_empty() => "0".to_owned(),
        text => text,
    };
    match unit {
        "s" if value >= 120.0 => format!("{} min", number(value / 60.0)),
        "s" if value > 0.0 && value < 0.001 => format!("{:.0} µs", value * 1e6),
        "s" if value > 0.0 && value < 1.0 => format!("{} ms", number(value * 1000.0)),
        "s" => format!("{} s", number(value)),
        "bytes" => format!("{} MiB", number(value / MEBIBYTE)),
        "reqps" | "ops" => format!("{}/s", number(value)),
        _ => number(value),
    }
}

/// What of a text has room, at so many points a letter.
fn fitting(text: &str, room: f64, letter: f64) -> String {
    let mut kept = String::new();
    let mut used = 0.0;
    for one in text.chars() {
        used += letter;
        if used > room {
            return kept + "…";
        }
        kept.push(one);
    }
    kept
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[test]
fn an_axis_ends_at_a_number_that_people_read() {
    for (most, wanted) in [
        (0.0, 1.0),
        (0.3, 0.5),
        (1.0, 1.0),
        (17.0, 20.0),
        (51.0, 100.0),
    ] {
        let found = rounded_up(most);
        assert!((found - wanted).abs() < 1e-9, "{most}: {found}");
    }
}

#[test]
fn a_value_is_shown_with_its_unit() {
    for (value, unit, wanted) in [
        (3.0, "short", "3"),
        (0.25, "reqps", "0.25/s"),
        (0.012, "s", "12 ms"),
        (600.0, "s", "10 min"),
        (20_971_520.0, "bytes", "20 MiB"),
    ] {
        assert_eq!(shown(value, unit), wanted);
    }
}
