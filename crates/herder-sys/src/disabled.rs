//! What the user has turned off.

use std::sync::OnceLock;

/// Whether the user has turned a mechanism off (`HERDER_DISABLE`, read once).
pub(crate) fn is_disabled(name: &str) -> bool {
    static DISABLED: OnceLock<String> = OnceLock::new();
    let disabled = DISABLED.get_or_init(|| std::env::var("HERDER_DISABLE").unwrap_or_default());
    disabled.split(',').any(|word| word.trim() == name)
}
