//! Comma-separated values (RFC 4180).

use std::io::{self, Write};

/// Writes one line.
///
/// # Errors
/// If `out` cannot be written.
pub fn write_row(
    out: &mut impl Write,
    fields: impl IntoIterator<Item = impl AsRef<str>>,
) -> io::Result<()> {
    let fields: Vec<String> = fields.into_iter().map(|field| quoted(field.as_ref())).collect();
    writeln!(out, "{}", fields.join(","))
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_with_separators_are_quoted() {
        let mut out = Vec::new();
        write_row(&mut out, ["a b", "1,5", "say \"so\"", ""]).unwrap();
        assert_eq!(out, b"a b,\"1,5\",\"say \"\"so\"\"\",\n");
    }
}
