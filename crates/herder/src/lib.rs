//! The library.

#![forbid(unsafe_code)]

pub mod command;
pub mod output;
pub mod terminate;

pub use herder_sys::Signal;
