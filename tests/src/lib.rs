//! What the live tests share: workloads know their own truth, memtrace is run as a user runs it,
//! and the two are held against each other.
//!
//! A truth never comes from memtrace: it is a workload's own arithmetic (pages that it touched) on
//! top of a standstill's `statm`, which is an exact sum on the kernels that memtrace calls exact.

pub mod args;
pub mod judgement;
pub mod live;
pub mod pace;
pub mod proc;
pub mod report;
pub mod runner;
pub mod sys;
pub mod truth;
