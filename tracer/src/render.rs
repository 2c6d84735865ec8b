//! Renderers: a report as text for people or as JSON for programs, into any writer.

pub mod json;
pub mod text;
