//! Lines over an axis.

use super::theme::{Colour, GRID, INK, PAPER, QUIET};
use super::{PlotError, text};
use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::{
    AreaSeries, Cartesian2d, Circle, DrawingArea, IntoDrawingArea, LineSeries, Rectangle,
    SVGBackend,
};
use plotters::style::Color;
use plotters::style::text_anchor::HPos;
use std::ops::Range;

/// One axis: what it shows, and at which places it says so.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it is, with its unit.
    pub title: String,
    /// Its ends.
    pub range: Range<f64>,
    /// Where there are marks, and what they say.
    pub marks: Vec<(f64, String)>,
}

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its colour.
    pub colour: Colour,
    /// Its width.
    pub width: u32,
    /// Whether each point is marked.
    pub dots: bool,
    /// Its points, in the axes' units.
    pub points: Vec<(f64, f64)>,
}

/// The area between two lines.
#[derive(Clone, Debug)]
pub struct Area {
    /// Its colour.
    pub colour: Colour,
    /// Its upper bound; what is drawn later lies over what is drawn before.
    pub points: Vec<(f64, f64)>,
}

/// What is drawn.
#[derive(Clone, Debug)]
pub struct Chart {
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical one.
    pub y: Axis,
    /// The areas, which lie behind the lines.
    pub areas: Vec<Area>,
    /// The lines.
    pub lines: Vec<Line>,
}

type Pane<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Context<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

/// The size of the text.
const TEXT: u32 = 15;

impl Chart {
    /// The chart as SVG, in the light colours.
    ///
    /// # Errors
    /// If it cannot be drawn.
    pub fn svg(&self, size: (u32, u32)) -> Result<String, PlotError> {
        let mut svg = String::new();
        {
            let pane = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            pane.fill(&PAPER.rgb())?;
            self.draw(&pane)?;
            pane.present()?;
        }
        Ok(svg)
    }

    /// Charts one above the other, with a title and what the colours mean.
    ///
    /// # Errors
    /// If they cannot be drawn.
    pub fn stack(
        title: &str,
        legend: &[(Colour, String)],
        charts: &[Self],
        size: (u32, u32),
    ) -> Result<String, PlotError> {
        let mut svg = String::new();
        {
            let pane = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            pane.fill(&PAPER.rgb())?;
            pane.draw_text(title, &text(20, INK, HPos::Left), (16, 24))?;
            let (head, body) = pane.split_vertically(84);
            let mut left = 16;
            for (colour, name) in legend {
                let swatch = [(left, 52), (left + 14, 66)];
                head.draw(&Rectangle::new(swatch, colour.rgb().filled()))?;
                head.draw_text(name, &text(TEXT, INK, HPos::Left), (left + 20, 59))?;
                left += 42 + 7 * name.chars().count() as i32;
            }
            for (chart, pane) in charts.iter().zip(body.split_evenly((charts.len(), 1))) {
                chart.draw(&pane.margin(6, 6, 6, 6))?;
            }
            pane.present()?;
        }
        Ok(svg)
    }

    /// Draws the chart; its vertical axis' title stands above it.
    fn draw(&self, pane: &Pane<'_>) -> Result<(), PlotError> {
        pane.draw_text(&self.y.title, &text(TEXT, INK, HPos::Left), (6, 12))?;
        let mut chart = ChartBuilder::on(pane)
            .margin_top(26)
            .margin_right(18)
            .x_label_area_size(if self.x.title.is_empty() { 24 } else { 42 })
            .y_label_area_size(66)
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        self.draw_mesh(&mut chart)?;
        for Area { colour, points } in &self.areas {
            let bottom = self.y.range.start;
            chart.draw_series(AreaSeries::new(points.iter().copied(), bottom, colour.rgb()))?;
        }
        for Line { colour, width, dots, points } in &self.lines {
            let style = colour.rgb().stroke_width(*width);
            chart.draw_series(LineSeries::new(points.iter().copied(), style))?;
            let dots = points.iter().filter(|_| *dots);
            let dot = |&place| Circle::new(place, width + 1, colour.rgb().filled());
            chart.draw_series(dots.map(dot))?;
        }
        Ok(())
    }

    fn draw_mesh(&self, chart: &mut Context<'_, '_>) -> Result<(), PlotError> {
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(GRID.rgb().stroke_width(0))
            .bold_line_style(GRID.rgb())
            .axis_style(QUIET.rgb())
            .label_style(text(TEXT, QUIET, HPos::Center))
            .axis_desc_style(text(TEXT, INK, HPos::Center))
            .x_desc(self.x.title.as_str())
            .x_labels(self.x.marks.len())
            .y_labels(self.y.marks.len())
            .draw()?;
        Ok(())
    }
}

impl Axis {
    /// An axis from 0, with four or five round marks.
    #[must_use]
    pub fn linear(title: &str, most: f64, mark: fn(f64) -> String) -> Self {
        let most = if most > 0.0 { most } else { 1.0 };
        let magnitude = 10_f64.powf((most / 4.0).log10().floor());
        let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * magnitude);
        let step = steps.into_iter().find(|step| most / step <= 5.0).unwrap_or(most);
        Self::stepped(title, most, step, mark)
    }

    /// As [`Self::linear`], with steps that are round in binary.
    #[must_use]
    pub fn binary(title: &str, most: f64, mark: fn(f64) -> String) -> Self {
        let most = most.max(1.0);
        Self::stepped(title, most, 2_f64.powf((most / 5.0).log2().ceil()), mark)
    }

    fn stepped(title: &str, most: f64, step: f64, mark: fn(f64) -> String) -> Self {
        let places = (0..=(most / step).ceil() as u32).map(|index| f64::from(index) * step);
        let marks: Vec<_> = places.map(|place| (place, mark(place))).collect();
        let end = marks.last().map_or(most, |(place, _)| *place);
        Self { title: title.to_owned(), range: 0.0..end, marks }
    }

    /// An axis of logarithms (to base 10) of figures between these two, with marks at 1, 2 and 5.
    #[must_use]
    pub fn logarithmic(title: &str, least: f64, most: f64, mark: fn(f64) -> String) -> Self {
        let (low, high) = (least.log10().floor() as i32, most.log10().ceil() as i32);
        let all =
            (low..=high).flat_map(|exponent| [1.0, 2.0, 5.0].map(|n| n * 10_f64.powi(exponent)));
        let all: Vec<f64> = all.collect();
        let start = all.iter().rev().copied().find(|&place| place <= least).unwrap_or(least);
        let end = all.iter().copied().find(|&place| place >= most).unwrap_or(most);
        let end = if end > start { end } else { start * 10.0 };
        let places = all.into_iter().filter(|place| (start..=end).contains(place));
        let every = if (end / start).log10() > 3.0 { 3 } else { 1 };
        let round =
            |place: &f64| every == 1 || (place.log10() - place.log10().round()).abs() < 1e-9;
        let marks = places.filter(round).map(|place| (place.log10(), mark(place))).collect();
        Self { title: title.to_owned(), range: start.log10()..end.log10(), marks }
    }

    /// An axis of things in turn, at 0, 1, 2, ..
    #[must_use]
    pub fn things<'a>(title: &str, things: impl IntoIterator<Item = &'a str>) -> Self {
        let marks: Vec<(f64, String)> =
            (0_u32..).zip(things).map(|(place, thing)| (place.into(), thing.to_owned())).collect();
        let last = marks.last().map_or(0.0, |(place, _)| *place);
        Self { title: title.to_owned(), range: -0.2..last + 0.2, marks }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, place: &f64, (start, end): (i32, i32)) -> i32 {
        let part = (place - self.range.start) / (self.range.end - self.range.start);
        start + (part * f64::from(end - start)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        let marks = self.marks.iter().filter(|_| !hint.weight().allow_light_points());
        marks.map(|(place, _)| *place).collect()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(place: &f64) -> String {
        place.to_string()
    }

    fn format_ext(&self, place: &f64) -> String {
        let mark = self.marks.iter().find(|(at, _)| (at - place).abs() < 1e-9 * at.abs().max(1.0));
        mark.map_or(String::new(), |(_, mark)| mark.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::figure;
    use crate::plot::theme::OURS;

    fn marks(axis: &Axis) -> Vec<&str> {
        axis.marks.iter().map(|(_, mark)| mark.as_str()).collect()
    }

    #[test]
    fn marks_are_round_and_hold_all_figures() {
        let axis = Axis::linear("", 87.0, |place| format!("{place:.0}"));
        assert_eq!(
            (marks(&axis), axis.range.clone()),
            (vec!["0", "20", "40", "60", "80", "100"], 0.0..100.0)
        );
        let axis = Axis::binary("", 3.9 * 1024.0, crate::plot::bytes);
        assert_eq!(marks(&axis), ["0 B", "1 KiB", "2 KiB", "3 KiB", "4 KiB"]);
        let axis = Axis::logarithmic("", 7.0, 180.0, |place| format!("{place:.0}"));
        assert_eq!(marks(&axis), ["5", "10", "20", "50", "100", "200"]);
        let axis = Axis::logarithmic("", 1.0, 90_000.0, |place| format!("{place:.0}"));
        assert_eq!(marks(&axis), ["1", "10", "100", "1000", "10000", "100000"]);
    }

    #[test]
    fn axes_of_nothing_and_of_one_figure_can_be_drawn() {
        for axis in [
            Axis::linear("", 0.0, figure),
            Axis::binary("", 0.0, figure),
            Axis::logarithmic("", 5.0, 5.0, figure),
            Axis::things("", ["one"]),
        ] {
            assert!(axis.range.start < axis.range.end && !axis.marks.is_empty(), "{axis:?}");
        }
    }

    #[test]
    fn a_chart_has_its_titles_its_marks_and_its_lines() {
        let line =
            Line { colour: OURS, width: 3, dots: true, points: vec![(0.0, 1.0), (1.0, 2.0)] };
        let (x, y) = (Axis::things("threads", ["1", "2"]), Axis::linear("Mops/s", 2.0, figure));
        let svg = Chart { x, y, areas: Vec::new(), lines: vec![line] }.svg((400, 300)).unwrap();
        for part in ["threads", "Mops/s", "polyline", "#0A58CA", "<circle"] {
            assert!(svg.contains(part), "{part}");
        }
    }
}
