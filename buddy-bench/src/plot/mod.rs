//! Pictures: drawn once, as SVG; a page has them in its own colours, a file also as PNG.

#![expect(
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "pixels and labels"
)]

pub mod chart;
pub mod heap;
mod png;
pub mod theme;

pub use png::png;

use plotters::prelude::{DrawingAreaErrorKind, IntoFont, TextStyle};
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use theme::Colour;

/// A picture could not be drawn.
#[derive(Clone, Debug, thiserror::Error)]
#[error("a picture could not be drawn: {0}")]
pub struct PlotError(String);

impl<E: std::error::Error + Send + Sync> From<DrawingAreaErrorKind<E>> for PlotError {
    fn from(error: DrawingAreaErrorKind<E>) -> Self {
        Self(error.to_string())
    }
}

/// Text of that size, centred at its place's height.
fn text(size: u32, colour: Colour, align: HPos) -> TextStyle<'static> {
    let style = ("sans-serif", size).into_font().color(&colour.rgb().to_rgba());
    style.pos(Pos::new(align, VPos::Center))
}

/// Bytes, in the largest unit with at least one of it.
#[must_use]
pub fn bytes(bytes: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let exponent = if bytes < 1.0 { 0.0 } else { (bytes.log2() / 10.0).floor().min(4.0) };
    let (figure, unit) = (bytes / 1024_f64.powf(exponent), units[exponent as usize]);
    let digits = usize::from(figure.fract() >= 0.05 && figure < 100.0);
    format!("{figure:.digits$} {unit}")
}

/// A count, in groups of three digits.
#[must_use]
pub fn count(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A figure with three significant digits.
#[must_use]
pub fn figure(figure: f64) -> String {
    match figure.abs() {
        0.0 => "0".to_owned(),
        size if size >= 9.95e6 => format!("{:.0}\u{202f}M", figure / 1e6),
        size if size >= 999_500.0 => format!("{:.1}\u{202f}M", figure / 1e6),
        size if size >= 99_999.5 => format!("{:.0}\u{202f}k", figure / 1e3),
        size if size >= 9999.5 => count(figure.round() as usize),
        size if size >= 99.95 => format!("{figure:.0}"),
        size if size >= 9.995 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

/// A figure that is round by itself, as it stands at an axis.
#[must_use]
pub fn round(figure: f64) -> String {
    match figure {
        1e6.. => format!("{}\u{202f}M", figure / 1e6),
        1e4.. => count(figure.round() as usize),
        _ => format!("{figure}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let told = [0.0, 1000.0, 1024.0, 1536.0, 200_000.0, 16_777_216.0].map(bytes);
        assert_eq!(told, ["0 B", "1000 B", "1 KiB", "1.5 KiB", "195 KiB", "16 MiB"]);
        assert_eq!(
            [7, 1234, 1_234_567].map(count),
            ["7", "1\u{202f}234", "1\u{202f}234\u{202f}567"]
        );
        assert_eq!(
            [0.5, 20.0, 50_000.0, 5e6].map(round),
            ["0.5", "20", "50\u{202f}000", "5\u{202f}M"]
        );
        let told = [0.0, 1.234, 12.34, 123.4, 1234.5, 12_345.0].map(figure);
        assert_eq!(told, ["0", "1.23", "12.3", "123", "1234", "12\u{202f}345"]);
        assert_eq!([9.996, 99.96].map(figure), ["10.0", "100"]);
        let told = [123_456.0, 1.26e6, 1.26e7].map(figure);
        assert_eq!(told, ["123\u{202f}k", "1.3\u{202f}M", "13\u{202f}M"]);
    }
}
