//! NIXL: that its library is there, and that the backend's plugin works on this machine.

use nixl_safe::Nixl;

use crate::finding::{Finding, Tell};
use crate::subject::Subject;

const LIBRARY: &str = "nixl";
const PLUGIN: &str = "plugin";

/// The checks of this group.
pub(crate) const CHECKS: [&str; 2] = [LIBRARY, PLUGIN];

/// Opens the library, and makes a backend of the plugin for a moment. The library, if it can be used.
pub(crate) fn look(subject: &Subject, tell: Tell<'_>) -> Option<Nixl> {
    let nixl = match Nixl::load() {
        Ok(nixl) => nixl,
        Err(error) => {
            tell(Finding::failed(LIBRARY, error));
            tell(Finding::skipped(PLUGIN, "NIXL's library is needed first"));
            return None;
        }
    };
    let version = nixl.version().map_or("of a version that is not known".to_owned(), |known| known);
    let found = format!("{version}, {} ({})", nixl.library().display(), nixl.found_by());
    tell(Finding::ok(LIBRARY, found));

    let name = subject.config.backend().name();
    let params = subject.config.plugin_params();
    let made = nixl.agent("nixl-l2-doctor").and_then(|agent| agent.backend(name, params.expose()));
    match made {
        Ok(_) => tell(Finding::ok(PLUGIN, format!("{name} loads, and takes its parameters"))),
        Err(error) => {
            tell(Finding::failed(PLUGIN, error));
            return None;
        }
    }
    Some(nixl)
}
