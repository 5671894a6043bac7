//! Pictures: lines over two axes, as SVG. Both axes are logarithmic where they span much.

use std::fmt::Write as _;

const WIDTH: f64 = 940.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 360.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;
/// An axis whose ends differ by more than this factor is logarithmic.
const MUCH: f64 = 30.0;
/// Told from each other by people who see colours differently.
const COLOURS: [&str; 6] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
];

/// Dots, and how the lines are broken that have the colours of those before once more.
const DOT: f64 = 3.0;
const BROKEN: &str = " stroke-dasharray=\"6 3\"";

/// A picture.
pub struct Chart {
    title: &'static str,
    across: &'static str,
    up: &'static str,
    /// Whether what goes up are shares, in per cent: from nothing to all, and never logarithmic.
    pub is_of_shares: bool,
    /// What is drawn.
    pub lines: Vec<Line>,
}

/// A line through points, from left to right.
pub struct Line {
    /// What it shows.
    pub name: String,
    /// Where it goes.
    pub points: Vec<(f64, f64)>,
}

/// One axis.
struct Axis {
    least: f64,
    most: f64,
    is_log: bool,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let most = values.clone().fold(1.0, f64::max);
        let least = values.filter(|value| *value > 0.0).fold(most, f64::min);
        let is_log = most / least > MUCH;
        Self {
            least: if is_log { least } else { 0.0 },
            most,
            is_log,
        }
    }

    /// From nothing to all, in per cent.
    const fn of_shares() -> Self {
        Self {
            least: 0.0,
            most: 100.0,
            is_log: false,
        }
    }

    /// Where a value is, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        if self.is_log {
            let value = value.max(self.least);
            return (value / self.least).ln() / (self.most / self.least).ln();
        }
        (value - self.least) / (self.most - self.least)
    }

    fn ticks(&self) -> Vec<f64> {
        if !self.is_log {
            return (0..=4)
                .map(|part| self.most * f64::from(part) / 4.0)
                .collect();
        }
        let mut tick = 10_f64.powf(self.least.log10().ceil());
        let mut ticks = Vec::new();
        while tick <= self.most {
            ticks.push(tick);
            tick *= 10.0;
        }
        ticks
    }
}

impl Chart {
    /// Without lines.
    pub const fn new(title: &'static str, across: &'static str, up: &'static str) -> Self {
        Self {
            title,
            across,
            up,
            is_of_shares: false,
            lines: Vec::new(),
        }
    }

    /// The picture.
    pub fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let x = Axis::of(points().map(|point| point.0));
        let y = if self.is_of_shares {
            Axis::of_shares()
        } else {
            Axis::of(points().map(|point| point.1))
        };
        let across = |value: f64| LEFT + x.place(value) * (WIDTH - LEFT - RIGHT);
        let up = |value: f64| HEIGHT - BOTTOM - y.place(value) * (HEIGHT - TOP - BOTTOM);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<title>{0}</title>\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
             <text x=\"{LEFT}\" y=\"22\" font-size=\"15\">{0}</text>\n",
            self.title
        );
        self.axes(&mut svg, (&x, &across), (&y, &up));
        self.draw(&mut svg, &across, &up);
        svg.push_str("</svg>\n");
        svg
    }

    /// The lines of both axes, and what they count.
    fn axes(
        &self,
        svg: &mut String,
        (x, across): (&Axis, &dyn Fn(f64) -> f64),
        (y, up): (&Axis, &dyn Fn(f64) -> f64),
    ) {
        let (right, low) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for tick in x.ticks() {
            let at = across(tick);
            let _ = writeln!(
                svg,
                "<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{low}\" stroke=\"#ddd\"/>"
            );
            let _ = writeln!(
                svg,
                "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                low + 18.0,
                told(tick)
            );
        }
        for tick in y.ticks() {
            let at = up(tick);
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>"
            );
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                at + 4.0,
                told(tick)
            );
        }
        let middle = f64::midpoint(LEFT, right);
        let _ = writeln!(
            svg,
            "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            HEIGHT - 10.0,
            self.across
        );
        let _ = writeln!(
            svg,
            "<text x=\"16\" y=\"{0}\" transform=\"rotate(-90 16 {0})\" text-anchor=\"middle\">{1}</text>",
            HEIGHT / 2.0,
            self.up
        );
    }

    /// What is measured, and the names beside it.
    fn draw(&self, svg: &mut String, across: &dyn Fn(f64) -> f64, up: &dyn Fn(f64) -> f64) {
        let right = WIDTH - RIGHT;
        for (number, (line, colour)) in self.lines.iter().zip(COLOURS.iter().cycle()).enumerate() {
            let places = line
                .points
                .iter()
                .map(|(x, y)| format!("{:.1},{:.1}", across(*x), up(*y)));
            let places: Vec<_> = places.collect();
            let is_again = number >= COLOURS.len();
            let dashes = if is_again { BROKEN } else { "" };
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}/>",
                places.join(" ")
            );
            // A line of one point is none.
            if let [(x, y)] = line.points.as_slice() {
                let (x, y) = (across(*x), up(*y));
                let _ = writeln!(
                    svg,
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{DOT}\" fill=\"{colour}\"/>"
                );
            }
            let height = TOP + 18.0 * f64::from(u32::try_from(number).unwrap_or_default());
            let _ = writeln!(
                svg,
                "<line x1=\"{}\" y1=\"{1}\" x2=\"{2}\" y2=\"{1}\" stroke=\"{colour}\" stroke-width=\"3\"{dashes}/>",
                right + 12.0,
                height - 4.0,
                right + 32.0
            );
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{height}\">{}</text>",
                right + 38.0,
                escaped(&line.name)
            );
        }
    }
}

fn told(value: f64) -> String {
    if value >= 1000.0 {
        format!("{}k", value / 1000.0)
    } else if value >= 1.0 || value == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value}")
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_that_spans_much_is_logarithmic() {
        let axis = Axis::of([1.0, 10.0, 100.0].into_iter());
        assert!(axis.is_log);
        assert!((axis.place(10.0) - 0.5).abs() < 1e-9);
        let axis = Axis::of([1.0, 4.0].into_iter());
        assert!(!axis.is_log);
        assert!((axis.place(2.0) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn every_line_is_drawn_and_named() {
        let mut chart = Chart::new("title", "across", "up");
        for name in ["a & b", "c"] {
            chart.lines.push(Line {
                name: name.to_owned(),
                points: vec![(1.0, 1.0), (2.0, 3.0)],
            });
        }
        let svg = chart.svg();
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert_eq!(svg.matches("<circle").count(), 0);
        assert!(svg.contains("a &amp; b"), "{svg}");
    }

    #[test]
    fn a_single_point_is_seen_and_no_two_lines_look_alike() {
        let mut chart = Chart::new("title", "across", "up");
        chart.is_of_shares = true;
        for _ in 0..=COLOURS.len() {
            chart.lines.push(Line {
                name: "one".to_owned(),
                points: vec![(1.0, 50.0)],
            });
        }
        let svg = chart.svg();
        assert_eq!(svg.matches("<circle").count(), COLOURS.len() + 1);
        // The line, and the one beside its name.
        assert_eq!(svg.matches(BROKEN).count(), 2);
        let middle = TOP + (HEIGHT - TOP - BOTTOM) / 2.0;
        assert!(svg.contains(&format!("cy=\"{middle:.1}\"")), "{svg}");
    }
}
