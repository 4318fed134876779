//! What to start: the program, its environment and the limits on both.

mod env;
mod file_format;
mod limits;
mod program;
