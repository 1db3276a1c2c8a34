//! The plot of a sweep: each cost against the number of requests, both in logarithmic scales. Pure.

use std::fmt::Write as _;

use super::sweep::Cost;

/// The size of the plot and its margins, in pixels.
const SIZE: (f64, f64) = (640.0, 400.0);
const MARGIN: f64 = 60.0;

/// A cost, with its name and colour.
type Series = (&'static str, &'static str, fn(&Cost) -> f64);

const SERIES: [Series; 4] = [
    ("time, s", "#d97706", |cost| cost.seconds),
    ("calls", "#2563eb", |cost| cost.calls as f64),
    ("writes", "#059669", |cost| cost.writes as f64),
    ("peak memory, MB", "#db2777", |cost| cost.memory),
];

/// The plot as an SVG image. Its text and axes are grey, which is readable on light and dark backgrounds.
pub(super) fn svg(costs: &[Cost]) -> String {
    let requests = || costs.iter().map(|cost| cost.requests as f64);
    let values = || costs.iter().flat_map(|cost| SERIES.map(|(_, _, of)| of(cost)));
    let (x, y) = (Scale::over(requests(), MARGIN, SIZE.0 - MARGIN), Scale::over(values(), SIZE.1 - MARGIN, 30.0));
    let (width, height) = SIZE;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\" fill=\"#808080\">\n<title>Cost of enrolments against their number</title>\n"
    );
    let mut line = |text: String| _ = writeln!(svg, "{text}");
    for exponent in x.exponents() {
        let (at, bottom) = (x.at(10_f64.powi(exponent)), SIZE.1 - MARGIN);
        line(format!("<path d=\"M{at:.1} 30V{bottom}\" stroke=\"#80808040\"/>"));
        line(format!("<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>", bottom + 18.0, power(exponent)));
    }
    for exponent in y.exponents() {
        let at = y.at(10_f64.powi(exponent));
        line(format!("<path d=\"M{MARGIN} {at:.1}H{}\" stroke=\"#80808040\"/>", SIZE.0 - MARGIN));
        line(format!(
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            MARGIN - 6.0,
            at + 4.0,
            power(exponent)
        ));
    }
    line(format!(
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">EnrollmentRequests</text>",
        width / 2.0,
        height - 18.0
    ));
    for (number, (name, colour, of)) in SERIES.into_iter().enumerate() {
        let points: Vec<String> =
            costs.iter().map(|cost| format!("{:.1},{:.1}", x.at(cost.requests as f64), y.at(of(cost)))).collect();
        line(format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        ));
        let at = MARGIN + 10.0 + 130.0 * number as f64;
        line(format!("<text x=\"{at}\" y=\"18\" fill=\"{colour}\">{name}</text>"));
    }
    svg + "</svg>\n"
}

/// A logarithmic scale over whole powers of ten.
struct Scale {
    first: i32,
    last: i32,
    from: f64,
    to: f64,
}

impl Scale {
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let logarithms: Vec<f64> = values.filter(|value| *value > 0.0).map(f64::log10).collect();
        let first = logarithms.iter().copied().fold(f64::INFINITY, f64::min).min(1e6).floor() as i32;
        let last = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max).ceil() as i32;
        Self { first, last: last.max(first + 1), from, to }
    }

    fn exponents(&self) -> impl Iterator<Item = i32> + use<> {
        self.first..=self.last
    }

    fn at(&self, value: f64) -> f64 {
        let part = (value.max(f64::MIN_POSITIVE).log10() - f64::from(self.first)) / f64::from(self.last - self.first);
        self.from + part.clamp(0.0, 1.0) * (self.to - self.from)
    }
}

/// A power of ten, as an axis shows it.
fn power(exponent: i32) -> String {
    if exponent < 0 {
        format!("0.{:0>1$}", 1, exponent.unsigned_abs() as usize)
    } else {
        format!("1{}", "0".repeat(exponent as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::{Cost, power, svg};

    fn cost(requests: usize, factor: f64) -> Cost {
        Cost { requests, seconds: factor, calls: requests, writes: 3 * requests, memory: 10.0 * factor }
    }

    #[test]
    fn cost_that_grows_as_the_requests_is_a_diagonal() {
        let plot = svg(&[cost(100, 1.0), cost(1000, 10.0), cost(10_000, 100.0)]);
        // Each ten times as many requests are 260 pixels to the right, and each ten times the cost 62 pixels up.
        assert!(plot.contains("points=\"60.0,340.0 320.0,278.0 580.0,216.0\""), "{plot}");
        assert!(plot.contains("points=\"60.0,216.0 320.0,154.0 580.0,92.0\""), "{plot}");
        assert!(plot.starts_with("<svg ") && plot.ends_with("</svg>\n"));
    }

    #[test]
    fn axes_show_powers_of_ten() {
        assert_eq!([-2, -1, 0, 3].map(power), ["0.01", "0.1", "1", "1000"]);
        assert!(svg(&[cost(100, 0.5)]).contains(">0.1</text>"));
    }
}
