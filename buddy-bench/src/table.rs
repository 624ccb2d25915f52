//! Tables of aligned text.

use std::fmt::{self, Write};

/// Rows of cells under a head; the first column is aligned left, the others right.
#[derive(Clone, Debug)]
pub struct Table {
    title: String,
    rows: Vec<Vec<String>>,
    /// Before which rows there is a line.
    lines: Vec<usize>,
}

impl Table {
    /// A table with a title and a head.
    #[must_use]
    pub fn new(title: impl Into<String>, head: Vec<String>) -> Self {
        Self { title: title.into(), rows: vec![head], lines: vec![1] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Draws a line before the next row.
    pub fn line(&mut self) {
        self.lines.push(self.rows.len());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let total = widths.iter().sum::<usize>() + 2 * columns.saturating_sub(1);
        writeln!(f, "{}", self.title)?;
        for (number, row) in self.rows.iter().enumerate() {
            if self.lines.contains(&number) {
                writeln!(f, "{}", "-".repeat(total))?;
            }
            let mut text = String::new();
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                if column == 0 {
                    write!(text, "{cell:<width$}")?;
                } else {
                    write!(text, "  {cell:>width$}")?;
                }
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_characters() {
        let cells = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let mut table = Table::new("title", cells(["", "left", "±"]));
        table.row(cells(["long name", "1.0", "±10 %"]));
        table.line();
        table.row(cells(["b", "100.25", ""]));
        let expected = "title\n\
                        \u{20}            left      ±\n\
                        ------------------------\n\
                        long name     1.0  ±10 %\n\
                        ------------------------\n\
                        b          100.25\n";
        assert_eq!(table.to_string(), expected);
    }
}
