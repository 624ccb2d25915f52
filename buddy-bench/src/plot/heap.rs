//! The heap at one moment: each order a row, each block a cell at its address.
//!
//! Blocks too narrow for a cell of their own share the columns of their row: there the height says
//! how much of the column's memory lies in used and in free blocks of that order.

use super::theme::{Colour, FREE, GRID, INK, PANEL, PAPER, QUIET, of_order};
use super::{PlotError, bytes, text};
use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, IntoDrawingArea, Rectangle, SVGBackend};
use plotters::style::Color;
use plotters::style::text_anchor::HPos;

/// A block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// How many bytes lie before it.
    pub start: usize,
    /// How many it has.
    pub bytes: usize,
    /// Whether it is allocated.
    pub used: bool,
}

/// What is drawn.
#[derive(Clone, Debug)]
pub struct HeapPicture {
    /// What the heap is, and when.
    pub title: String,
    /// The bytes of a block of order 0.
    pub min_block: usize,
    /// The heap's bytes.
    pub heap_bytes: usize,
    /// The blocks by address.
    pub cells: Vec<Cell>,
    /// What is told beside it: a name and a figure each.
    pub figures: Vec<(String, String)>,
}

type Pane<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Where the rows begin, and how wide they are.
const LEFT: i32 = 84;
const COLUMNS: usize = 860;
const TOP: i32 = 56;
const ROW: i32 = 26;
/// Of a row, what the cells have.
const HEIGHT: i32 = 22;
const SIDE: i32 = 216;
const FOOT: i32 = 78;
/// Blocks narrower than this share columns.
const NARROW: f64 = 3.0;

/// Used and free bytes in one column of a row.
#[derive(Clone, Copy, Default)]
struct Column {
    used: f64,
    free: f64,
}

impl HeapPicture {
    /// The picture as SVG, in the light colours.
    ///
    /// # Errors
    /// If it cannot be drawn.
    pub fn svg(&self) -> Result<String, PlotError> {
        let rows = self.rows();
        let height = TOP + ROW * rows.len() as i32 + FOOT;
        let width = LEFT + COLUMNS as i32 + SIDE;
        let mut svg = String::new();
        {
            let size = (width.unsigned_abs(), height.unsigned_abs());
            let pane = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            pane.fill(&PAPER.rgb())?;
            pane.draw_text(&self.title, &text(20, INK, HPos::Left), (16, 24))?;
            for (number, row) in rows.iter().rev().enumerate() {
                let order = rows.len() - 1 - number;
                self.draw_row(&pane, TOP + ROW * number as i32, order, rows.len(), row)?;
            }
            self.draw_foot(&pane, TOP + ROW * rows.len() as i32, rows.len())?;
            self.draw_figures(&pane)?;
            pane.present()?;
        }
        Ok(svg)
    }

    /// The blocks of each order: an allocated block is of the order that its size needs.
    fn rows(&self) -> Vec<Vec<Cell>> {
        let order =
            |bytes: usize| bytes.div_ceil(self.min_block).next_power_of_two().ilog2() as usize;
        let largest = self.heap_bytes.div_ceil(self.min_block).max(1).ilog2() as usize;
        let mut rows = vec![Vec::new(); largest + 1];
        for cell in &self.cells {
            rows[order(cell.bytes).min(largest)].push(*cell);
        }
        rows
    }

    fn draw_row(
        &self,
        pane: &Pane<'_>,
        top: i32,
        order: usize,
        orders: usize,
        cells: &[Cell],
    ) -> Result<(), PlotError> {
        let label = bytes((self.min_block << order) as f64);
        let middle = top + HEIGHT / 2;
        pane.draw_text(&label, &text(14, QUIET, HPos::Right), (LEFT - 10, middle))?;
        fill(pane, (LEFT, top), (LEFT + COLUMNS as i32, top + HEIGHT), PANEL)?;
        let colour = |used: bool| if used { of_order(order, orders) } else { FREE };
        let mut columns = vec![Column::default(); COLUMNS];
        for cell in cells {
            let (start, end) = (self.place(cell.start), self.place(cell.start + cell.bytes));
            if end - start >= NARROW {
                // A gap between neighbours.
                let (start, end) = (LEFT + start.round() as i32, LEFT + end.round() as i32 - 1);
                fill(pane, (start, top), (end, top + HEIGHT), colour(cell.used))?;
            } else {
                share(&mut columns, start, end, cell.used);
            }
        }
        let heights: Vec<(i32, i32)> = columns.iter().map(|column| column.heights()).collect();
        let mut start = LEFT;
        for run in heights.chunk_by(|one, other| one == other) {
            let (end, (used, free)) = (start + run.len() as i32, run[0]);
            let (bottom, middle) = (top + HEIGHT, top + HEIGHT - used);
            fill(pane, (start, middle), (end, bottom), colour(true))?;
            fill(pane, (start, middle - free), (end, middle), colour(false))?;
            start = end;
        }
        Ok(())
    }

    /// The column of an address.
    fn place(&self, offset: usize) -> f64 {
        offset as f64 / self.heap_bytes.max(1) as f64 * COLUMNS as f64
    }

    /// The addresses, and what the colours mean.
    fn draw_foot(&self, pane: &Pane<'_>, top: i32, orders: usize) -> Result<(), PlotError> {
        for quarter in 0..=4 {
            let offset = self.heap_bytes as f64 * f64::from(quarter) / 4.0;
            let side =
                [HPos::Left, HPos::Center, HPos::Right][(quarter as usize).div_ceil(2).min(2)];
            let side = if quarter == 3 { HPos::Center } else { side };
            let place = LEFT + COLUMNS as i32 * quarter / 4;
            pane.draw_text(&bytes(offset), &text(14, QUIET, side), (place, top + 8))?;
        }
        let middle = top + 44;
        let mut left = LEFT;
        for order in 0..orders {
            fill(pane, (left, middle - 7), (left + 12, middle + 7), of_order(order, orders))?;
            left += 12;
        }
        let words = "used, from the smallest blocks to the largest";
        pane.draw_text(words, &text(14, INK, HPos::Left), (left + 8, middle))?;
        let left = left + 330;
        fill(pane, (left, middle - 7), (left + 24, middle + 7), FREE)?;
        pane.draw_text("free", &text(14, INK, HPos::Left), (left + 32, middle))?;
        let words = "each row an order; address from left to right";
        pane.draw_text(words, &text(14, QUIET, HPos::Left), (left + 90, middle))?;
        Ok(())
    }

    fn draw_figures(&self, pane: &Pane<'_>) -> Result<(), PlotError> {
        let (left, mut top) = (LEFT + COLUMNS as i32 + 22, TOP + 6);
        for (name, figure) in &self.figures {
            pane.draw_text(name, &text(14, QUIET, HPos::Left), (left, top))?;
            pane.draw_text(figure, &text(18, INK, HPos::Left), (left, top + 20))?;
            let line = top + 37;
            fill(pane, (left, line), (left + SIDE - 40, line + 1), GRID)?;
            top += 50;
        }
        Ok(())
    }
}

impl Column {
    /// How high used and free parts are, at least one pixel of what there is.
    fn heights(self) -> (i32, i32) {
        let height = |share: f64| {
            let pixels = (share * f64::from(HEIGHT)).round() as i32;
            if share > 0.0 { pixels.clamp(1, HEIGHT) } else { 0 }
        };
        let used = height(self.used);
        (used, height(self.free).min(HEIGHT - used))
    }
}

/// Spreads a block over the columns that it touches.
fn share(columns: &mut [Column], start: f64, end: f64, used: bool) {
    for (index, column) in
        columns.iter_mut().enumerate().skip(start as usize).take(NARROW as usize + 2)
    {
        let overlap = end.min((index + 1) as f64) - start.max(index as f64);
        let part = if used { &mut column.used } else { &mut column.free };
        *part += overlap.max(0.0);
    }
}

fn fill(
    pane: &Pane<'_>,
    from: (i32, i32),
    to: (i32, i32),
    colour: Colour,
) -> Result<(), PlotError> {
    if from.0 < to.0 && from.1 < to.1 {
        pane.draw(&Rectangle::new([from, to], colour.rgb().filled()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(start: usize, bytes: usize, used: bool) -> Cell {
        Cell { start, bytes, used }
    }

    fn picture(heap_bytes: usize, cells: Vec<Cell>) -> HeapPicture {
        let figures = vec![("used".to_owned(), "1 KiB".to_owned())];
        HeapPicture { title: "a heap".to_owned(), min_block: 16, heap_bytes, cells, figures }
    }

    #[test]
    fn a_block_lies_in_the_row_of_the_order_it_needs() {
        let cells = vec![cell(0, 16, true), cell(16, 48, true), cell(64, 64, false)];
        let rows = picture(128, cells.clone()).rows();
        assert_eq!(rows, [vec![cells[0]], vec![], vec![cells[1], cells[2]], vec![]]);
    }

    #[test]
    fn wide_blocks_are_cells_and_narrow_ones_share_columns() {
        let count = |picture: &HeapPicture, colour: &str| {
            picture.svg().unwrap().matches(&format!("fill=\"{colour}\"")).count()
        };
        let free = "#B4D9BD";
        // The legend has one.
        assert_eq!(count(&picture(128, vec![cell(64, 64, false)]), free), 2);
        let two = picture(128, vec![cell(0, 32, false), cell(64, 64, false)]);
        assert_eq!(count(&two, free), 3);
        let narrow = (0..1 << 12).map(|index| cell(index * 32, 16, false)).collect();
        assert!(count(&picture(1 << 17, narrow), free) < 1000);
    }

    #[test]
    fn what_is_there_is_seen_however_little_it_is() {
        let column = Column { used: 0.001, free: 0.999 };
        assert_eq!(column.heights(), (1, HEIGHT - 1));
        assert_eq!(Column::default().heights(), (0, 0));
        assert_eq!(Column { used: 0.5, free: 0.5 }.heights(), (HEIGHT / 2, HEIGHT / 2));
    }

    #[test]
    fn shares_add_up_to_the_blocks() {
        let mut columns = vec![Column::default(); 8];
        share(&mut columns, 1.5, 3.25, true);
        share(&mut columns, 3.25, 3.5, false);
        share(&mut columns, 3.5, 3.75, true);
        let used: f64 = columns.iter().map(|column| column.used).sum();
        let free: f64 = columns.iter().map(|column| column.free).sum();
        assert!((used - 2.0).abs() < 1e-9 && (free - 0.25).abs() < 1e-9);
        assert!((columns[1].used - 0.5).abs() < 1e-9);
    }
}
