//! Tables with a line of names at the top.

use super::Malformed;

/// How fields stand beside each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    delimiter: u8,
    quoted: bool,
}

pub(super) const COMMA: Shape = Shape {
    delimiter: b',',
    quoted: true,
};
pub(super) const TAB: Shape = Shape {
    delimiter: b'\t',
    quoted: false,
};
pub(super) const BAR: Shape = Shape {
    delimiter: b'|',
    quoted: false,
};

/// Whether the first line names all of these columns.
pub(super) fn names(text: &str, shape: Shape, columns: &[&str]) -> bool {
    let first = text.lines().next().unwrap_or_default();
    let mut names = first.split(char::from(shape.delimiter)).map(str::trim);
    columns
        .iter()
        .all(|column| names.clone().any(|name| name == *column))
        && names.next().is_some()
}

/// Hands over the fields of these columns in each line, with the line's number.
///
/// # Errors
///
/// If a column is missing, if a line has more or fewer fields than the first one, or what the
/// receiver says of a line.
pub(super) fn read<const N: usize>(
    text: &str,
    shape: Shape,
    columns: [&str; N],
    mut receive: impl FnMut(u64, [&str; N]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(shape.delimiter)
        .quoting(shape.quoted)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let names = reader.headers().map_err(|error| malformed(&error))?;
    let mut places = [0; N];
    for (place, column) in places.iter_mut().zip(columns) {
        let found = names.iter().position(|name| name == column);
        *place = found.ok_or_else(|| Malformed::at(1, format!("there is no column `{column}`")))?;
    }
    let mut record = csv::StringRecord::new();
    while reader
        .read_record(&mut record)
        .map_err(|error| malformed(&error))?
    {
        let line = record.position().map_or(1, csv::Position::line);
        receive(line, places.map(|place| &record[place]))?;
    }
    Ok(())
}

fn malformed(error: &csv::Error) -> Malformed {
    let line = error.position().map(csv::Position::line);
    let reason = match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!("it has {len} fields, and the first line {expected_len}")
        }
        kind => format!("it cannot be taken apart: {kind:?}"),
    };
    Malformed { line, reason }
}
