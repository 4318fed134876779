//! The contenders, one adapter in each file, each in the best way that its documentation shows.

mod careless;
mod herder;
mod std;
mod tokio;

#[cfg(feature = "peers")]
mod async_process;
#[cfg(feature = "peers")]
mod duct;
#[cfg(feature = "peers")]
mod process_wrap;
#[cfg(feature = "peers")]
mod processkit;
#[cfg(feature = "peers")]
mod subprocess;
#[cfg(feature = "peers")]
mod tokio_process_tools;

mod tools;

use crate::adapter::{Cell, play};
use crate::protocol::Answer;
use crate::scenario::Scenario;

/// One column of the table.
#[derive(Debug)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// How it is used, in a line.
    pub(crate) used: &'static str,
    pub(crate) version: Version,
    pub(crate) play: fn(&Cell, &Scenario) -> Option<Answer>,
}

/// Where the version of a contender is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Version {
    /// This workspace's.
    Ours,
    /// A package, as it is locked.
    Package(&'static str),
    /// That of the compiler.
    Rust,
    /// The first line of what a program says.
    Says(&'static str),
    None,
}

const fn library(
    name: &'static str,
    used: &'static str,
    version: Version,
    play: fn(&Cell, &Scenario) -> Option<Answer>,
) -> Contender {
    Contender { name, used, version, play }
}

/// All columns, in the order of the table.
pub(crate) fn all() -> Vec<Contender> {
    let mut all = vec![
        library("herder", herder::USED, Version::Ours, play::<herder::Herder>),
        library("tokio", tokio::USED, Version::Package("tokio"), play::<tokio::Tokio>),
        library("std", std::USED, Version::Rust, play::<std::Std>),
    ];
    #[cfg(feature = "peers")]
    all.extend(peers());
    all.extend(tools::all());
    all
}

/// By its name; `careless` too, which is in no table.
pub(crate) fn named(name: &str) -> Option<Contender> {
    let careless = library("careless", careless::USED, Version::None, play::<careless::Careless>);
    all().into_iter().chain([careless]).find(|contender| contender.name == name)
}

#[cfg(feature = "peers")]
fn peers() -> Vec<Contender> {
    use Version::Package;
    vec![
        library(
            "async-process",
            async_process::USED,
            Package("async-process"),
            play::<async_process::AsyncProcess>,
        ),
        library("duct", duct::USED, Package("duct"), play::<duct::Duct>),
        library("subprocess", subprocess::USED, Package("subprocess"), play::<subprocess::Subprocess>),
        library("process-wrap", process_wrap::USED, Package("process-wrap"), play::<process_wrap::Wrapped>),
        library(
            "tokio-process-tools",
            tokio_process_tools::USED,
            Package("tokio-process-tools"),
            play::<tokio_process_tools::Tools>,
        ),
        library("processkit", processkit::USED, Package("processkit"), play::<processkit::Kit>),
    ]
}
