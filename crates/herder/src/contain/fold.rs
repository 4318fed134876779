//! The scope that the children of a herd share.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use herder_sys::Scope;

use super::{Choice, Containment, Hold, Refusal, Strength, Wish, choose_here};

/// One scope for many children, or none, where the host has nothing better than process groups.
#[derive(Debug)]
pub(crate) struct Fold {
    pub(crate) hold: Hold,
    pub(crate) strength: Strength,
    pub(crate) refusals: Vec<Refusal>,
    /// Whether the groups in it are stopped: the kernel would not know it for one that comes.
    pub(crate) stopped: AtomicBool,
}

impl Fold {
    /// The strongest that is asked for and can be had.
    ///
    /// # Errors
    ///
    /// What was asked for by name can't be had, or no scope can be made.
    pub(crate) fn new(containment: Containment) -> io::Result<Self> {
        let unsupported = |refusal: Refusal| io::Error::new(io::ErrorKind::Unsupported, refusal.to_string());
        let Choice { mechanism, strength, refusals, .. } =
            choose_here(Wish::plain(containment)).map_err(unsupported)?;
        let scope = mechanism.map(Scope::new).transpose()?;
        Ok(Self { hold: Hold::new(scope), strength, refusals, stopped: AtomicBool::new(false) })
    }

    /// Whether there is nothing but process groups.
    pub(crate) fn is_loose(&self) -> bool {
        self.strength <= Strength::Group
    }

    /// The scope for one more child; `None` if there is none here.
    ///
    /// # Errors
    ///
    /// It was ended, or its groups are stopped.
    pub(crate) fn scope(&self) -> io::Result<Option<Scope>> {
        let scope = self.hold.scope();
        if self.stopped.load(Ordering::Relaxed) {
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, "it is suspended"));
        }
        if !self.is_loose() && scope.is_none() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "it was ended"));
        }
        Ok(scope)
    }
}
