//! What `doctor` tells of Windows, beside scopes and limits: its version.

use std::time::Duration;

use herder::Command;
use serde::Serialize;

/// The version.
#[derive(Debug, Serialize)]
pub(crate) struct Host {
    kernel: String,
}

impl Host {
    /// # Errors
    ///
    /// What keeps us from looking.
    pub(crate) fn look() -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("can't ask for the version of Windows: {error}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(&error))?;
        let mut command = Command::new("cmd");
        command.args(["/d", "/c", "ver"]).timeout(Duration::from_secs(10));
        let text = runtime.block_on(command.read()).map_err(|error| failed(&error))?;
        // `Microsoft Windows [Version 10.0.19045.5011]`
        let last = text.trim().rsplit(' ').next().unwrap_or_default();
        Ok(Self { kernel: last.trim_end_matches(']').to_owned() })
    }

    pub(crate) fn name(&self) -> String {
        format!("Windows {}", self.kernel)
    }

    /// There is no more to tell.
    pub(crate) fn tell(&self, _text: &mut String) {}
}
