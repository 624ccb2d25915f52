//! The heap over the whole of a trace.

use super::heap::{Figures, MIN_BLOCK};
use crate::plot::chart::{Area, Axis, Chart, Line};
use crate::plot::theme::{Colour, INK, LOSS, OURS, QUIET, SERIES, of_order};
use crate::plot::{PlotError, bytes, count};

const SIZE: (u32, u32) = (1100, 900);

/// Three charts over the events: what is used, what is free by order, and how it is fragmented.
pub(super) fn svg(
    title: &str,
    heap_bytes: usize,
    course: &[Figures],
    moment: usize,
) -> Result<String, PlotError> {
    let events = course.last().map_or(1, |figures| figures.event);
    let mut x = Axis::linear("", events as f64, |event| count(event as usize));
    x.range.end = events as f64;
    x.marks.retain(|(event, _)| *event <= x.range.end);
    let line = |colour, figure: fn(&Figures) -> usize| {
        let point = |figures: &Figures| (figures.event as f64, figure(figures) as f64);
        Line { colour, width: 2, dots: false, points: course.iter().map(point).collect() }
    };
    let mark = |most: f64| {
        let at = moment as f64;
        Line { colour: QUIET, width: 1, dots: false, points: vec![(at, 0.0), (at, most)] }
    };
    let chart = |y: Axis, areas, mut lines: Vec<Line>| {
        lines.push(mark(y.range.end));
        Chart { x: x.clone(), y, areas, lines }
    };
    let all = heap_bytes as f64;
    let most = |figure: fn(&Figures) -> usize| course.iter().map(figure).max().unwrap_or(0) as f64;
    let used = vec![line(OURS, |at| at.used), line(SERIES[0], |at| at.live)];
    let largest = vec![line(SERIES[1], |at| at.largest_free)];
    let percent = Axis::linear(
        "fragmentation: free bytes outside the largest free block, %",
        100.0,
        |percent| format!("{percent:.0}"),
    );
    let charts = [
        chart(Axis::binary("used and asked for", all, bytes), Vec::new(), used),
        chart(
            Axis::binary("free, in blocks by order", most(|at| at.free), bytes),
            areas(course),
            Vec::new(),
        ),
        chart(
            Axis::binary("largest free block", most(|at| at.largest_free), bytes),
            Vec::new(),
            largest,
        ),
        chart(percent, Vec::new(), vec![line(LOSS, |at| at.fragmentation_percent as usize)]),
    ];
    Chart::stack(title, &legend(course), &charts, SIZE)
}

/// Free bytes by order, one upon the other: the smallest blocks lie lowest.
fn areas(course: &[Figures]) -> Vec<Area> {
    let orders = orders(course);
    let area = |order: usize| {
        let height = |figures: &Figures| figures.free_by_order[..=order].iter().sum::<usize>();
        let points = course.iter().map(|figures| (figures.event as f64, height(figures) as f64));
        Area { colour: of_order(order, orders), points: points.collect() }
    };
    (0..orders).rev().map(area).collect()
}

fn orders(course: &[Figures]) -> usize {
    course.iter().map(|figures| figures.free_by_order.len()).min().unwrap_or(0)
}

fn legend(course: &[Figures]) -> Vec<(Colour, String)> {
    let orders = orders(course);
    let named = [(OURS, "used"), (SERIES[0], "asked for"), (QUIET, "the map's moment")];
    let mut legend: Vec<_> = named.map(|(colour, name)| (colour, name.to_owned())).to_vec();
    let mut last = INK;
    for order in 0..orders {
        let colour = of_order(order, orders);
        if colour != last {
            let size = bytes((MIN_BLOCK << order) as f64);
            legend.push((colour, if order == 0 { format!("free: {size}") } else { size }));
            last = colour;
        }
    }
    legend
}
