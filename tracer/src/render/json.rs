//! Reports and judgements as JSON: the keys of [`crate::report::schema`] and of
//! [`crate::judge::schema`], indented, a line break at the end. An array of numbers or words stays
//! on one line: timelines have thousands of points.

use std::io;

use serde::Serialize;
use serde_json::{Serializer, ser::Formatter};

/// Writes one of them.
pub fn write(report: &impl Serialize, out: &mut impl io::Write) -> io::Result<()> {
    report.serialize(&mut Serializer::with_formatter(&mut *out, Lines::default()))?;
    out.write_all(b"\n")
}

/// Objects over several lines, arrays in one, except between their objects.
#[derive(Default)]
struct Lines {
    /// For each object and array that is open: something in it has lines of its own.
    broken: Vec<bool>,
    /// What comes next is an element of an array.
    is_element: bool,
}

impl Lines {
    fn line<W: ?Sized + io::Write>(&self, out: &mut W) -> io::Result<()> {
        out.write_all(b"\n")?;
        self.broken.iter().try_for_each(|_| out.write_all(b"  "))
    }

    /// A line for what comes next in the innermost object or array.
    fn break_off<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        match self.broken.last_mut() {
            Some(broken) => {
                *broken = true;
                self.line(out)
            }
            None => Ok(()),
        }
    }

    fn open<W: ?Sized + io::Write>(&mut self, out: &mut W, sign: &[u8]) -> io::Result<()> {
        self.broken.push(false);
        out.write_all(sign)
    }

    fn close<W: ?Sized + io::Write>(&mut self, out: &mut W, sign: &[u8]) -> io::Result<()> {
        if self.broken.pop() == Some(true) {
            self.line(out)?;
        }
        out.write_all(sign)
    }
}

impl Formatter for Lines {
    fn begin_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"[")
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"]")
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.is_element = true;
        match first {
            true => Ok(()),
            false => out.write_all(b","),
        }
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        if std::mem::take(&mut self.is_element) {
            self.break_off(out)?;
        }
        self.open(out, b"{")
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"}")
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if !first {
            out.write_all(b",")?;
        }
        self.break_off(out)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.is_element = false;
        out.write_all(b": ")
    }
}
