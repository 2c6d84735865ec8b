//! The report as JSON: the keys of [`crate::report::schema`], indented, a line break at the end.

use std::io;

use crate::report::schema::Report;

/// Writes the report.
pub fn write(report: &Report, out: &mut impl io::Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    out.write_all(b"\n")
}
