//! A curve as an SVG: sizes on a logarithmic axis, cost on one that begins at zero.

use std::fmt::Write as _;

use super::curve::{Curve, Point};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 300.0;
/// Around the area of the plot.
const LEFT: f64 = 60.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;
/// Horizontal lines above the axis.
const LINES: u32 = 4;

/// The plot, with its own white ground so that it reads on a dark page too.
pub(crate) fn svg(curve: &Curve) -> String {
    let axes = Axes::of(&curve.points);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\" text-anchor=\"middle\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    text(
        &mut svg,
        WIDTH / 2.0,
        20.0,
        &format!("{}: CPU µs per request", curve.title),
    );
    text(&mut svg, WIDTH / 2.0, HEIGHT - 10.0, curve.of);
    for line in 0..=LINES {
        let value = axes.highest * f64::from(line) / f64::from(LINES);
        let y = axes.y(value);
        let end = WIDTH - RIGHT;
        // Writing to a string does not fail.
        let _written = writeln!(
            svg,
            "<path d=\"M{LEFT} {y:.1}H{end}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" \
             text-anchor=\"end\">{value:.0}</text>",
            LEFT - 8.0,
            y + 4.0
        );
    }
    let mut path = String::new();
    for point in &curve.points {
        let (x, y) = (axes.x(point.size), axes.y(point.microseconds));
        let _written = write!(path, "{}{x:.1} {y:.1}", if path.is_empty() { 'M' } else { 'L' });
        let _written = writeln!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"#1f6feb\"/>"
        );
        text(&mut svg, x, y - 10.0, &format!("{:.1}", point.microseconds));
        text(&mut svg, x, HEIGHT - BOTTOM + 18.0, &short(point.size));
    }
    let _written = writeln!(
        svg,
        "<path d=\"{path}\" fill=\"none\" stroke=\"#1f6feb\" stroke-width=\"2\"/>\n</svg>"
    );
    svg
}

fn text(svg: &mut String, x: f64, y: f64, words: &str) {
    let _written = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>");
}

/// Where sizes and costs lie.
struct Axes {
    first: f64,
    /// Between the first size and the last, in powers of ten.
    powers: f64,
    highest: f64,
}

impl Axes {
    fn of(points: &[Point]) -> Self {
        let sizes = || points.iter().map(|point| power(point.size));
        let first = sizes().fold(f64::INFINITY, f64::min);
        let last = sizes().fold(f64::NEG_INFINITY, f64::max);
        let highest = points.iter().map(|point| point.microseconds).fold(0.0, f64::max);
        Self {
            first,
            powers: (last - first).max(1e-9),
            highest: round_up(highest * 1.1),
        }
    }

    fn x(&self, size: usize) -> f64 {
        LEFT + (power(size) - self.first) / self.powers * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - value / self.highest * (HEIGHT - TOP - BOTTOM)
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
fn power(size: usize) -> f64 {
    (size.max(1) as f64).log10()
}

/// To a multiple of the lines that makes whole numbers of them.
fn round_up(value: f64) -> f64 {
    let step = f64::from(LINES) * 10f64.powf(value.max(LINES.into()).log10().floor() - 1.0).max(1.0);
    (value / step).ceil().max(1.0) * step
}

fn short(size: usize) -> String {
    match size {
        1_000_000.. if size.is_multiple_of(1_000_000) => format!("{}M", size / 1_000_000),
        1_000.. if size.is_multiple_of(1_000) => format!("{}k", size / 1_000),
        _ => size.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(usize, f64)]) -> Curve {
        let mut curve = Curve::new("Gateway", "routes");
        curve
            .points
            .extend(points.iter().map(|&(size, microseconds)| Point {
                size,
                microseconds,
                is_disturbed: false,
                mebibytes: 1.0,
            }));
        curve
    }

    #[test]
    fn spaces_powers_of_ten_evenly_and_begins_at_zero() {
        let curve = curve(&[(1, 10.0), (10, 10.0), (100, 20.0)]);
        let axes = Axes::of(&curve.points);
        let [one, ten, hundred] = [1, 10, 100].map(|size| axes.x(size));
        assert!((ten - one - (hundred - ten)).abs() < 1e-9);
        assert!((axes.y(0.0) - (HEIGHT - BOTTOM)).abs() < 1e-9);
        assert!(axes.y(20.0) > TOP);
    }

    #[test]
    fn writes_a_point_for_each_size() {
        let svg = svg(&curve(&[(1, 20.0), (1000, 25.0), (10_000_000, 31.0)]));
        assert_eq!(svg.matches("<circle").count(), 3);
        for label in [">1<", ">1k<", ">10M<", ">25.0<"] {
            assert!(svg.contains(label), "{label} is missing in {svg}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn rounds_the_axis_up_to_whole_numbers() {
        assert_eq!([3.2, 29.0, 33.1, 410.0].map(round_up), [4.0, 32.0, 36.0, 440.0]);
    }

    #[test]
    fn survives_a_single_point() {
        assert!(!svg(&curve(&[(1, 20.0)])).contains("NaN"));
    }
}
