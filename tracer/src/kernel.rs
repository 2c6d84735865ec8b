//! The live kernel: the only room that talks to BPF.
//!
//! `btf` reads type information, `facts` gathers what this kernel has, `plan` (pure) decides what
//! to attach and what to doubt, `attach` carries it out with `calls` filled in and types found in an
//! `outline`, `ring` and `ledgers` bring data out.

pub mod attach;
pub mod btf;
pub mod calls;
pub mod facts;
pub mod fentry;
pub mod ledgers;
pub mod outline;
pub mod plan;
pub mod privilege;
pub mod ring;
