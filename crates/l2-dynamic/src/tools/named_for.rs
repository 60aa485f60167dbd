//! Directories that have the name of a model or tenant in theirs.

use std::collections::BTreeSet;
use std::path::Path;

use l2_index::paths::{name_beginning, path_to_key};

use super::ObjectFilter;

/// Collects them, each after those within it. One whose name is only the beginning of what is meant may be that of another, too:
/// it counts if nothing of another was met in it.
#[derive(Debug)]
pub(crate) struct NamedFor<'a> {
    of: &'a ObjectFilter,
    found: Vec<(String, bool)>,
    others: BTreeSet<String>,
}

impl<'a> NamedFor<'a> {
    pub(crate) fn new(of: &'a ObjectFilter) -> Self {
        Self { of, found: Vec::new(), others: BTreeSet::new() }
    }

    /// A directory; `before` is its path before it was set aside, or the same.
    pub(crate) fn note(&mut self, path: &str, before: &str) {
        if !self.of.is_of_scopes() {
            return;
        }
        if self.is_named(before) {
            self.found.push((path.to_owned(), true));
        } else if self.may_be_named(before) {
            self.found.push((path.to_owned(), false));
        } else {
            self.note_other(path);
        }
    }

    /// Something of another.
    pub(crate) fn note_other(&mut self, path: &str) {
        let mut inner = path;
        while let Some((parent, _)) = inner.rsplit_once('/') {
            // Only those of pieces are asked for; what is above one that is known is known, too.
            if parent.contains("%1_") && !self.others.insert(parent.to_owned()) {
                return;
            }
            inner = parent;
        }
    }

    pub(crate) fn paths(self) -> Vec<String> {
        let Self { found, others, .. } = self;
        let ours = |(path, is_whole): (String, bool)| (is_whole || !others.contains(&path)).then_some(path);
        found.into_iter().filter_map(ours).collect()
    }

    /// Whether the whole names of model and tenant are in a path, and these are meant.
    fn is_named(&self, path: &str) -> bool {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        let scope = ends.filter_map(|end| path.get(..end)).take_while(|head| {
            let part = head.rsplit('/').next().unwrap_or(head);
            part.starts_with("%1_")
        });
        let Some(scope) = scope.last() else { return false };
        // The path of some object of that model and tenant.
        let object = format!("{scope}/00000000_0_00.bin");
        path_to_key(Path::new(&object)).is_some_and(|key| self.of.has_scope(&key))
    }

    /// Whether it is where a name begins that may be meant.
    fn may_be_named(&self, path: &str) -> bool {
        let Some((model, salt)) = name_beginning(path) else { return false };
        let (of_model, of_salt) = (self.of.model_name.as_ref(), self.of.cache_salt.as_ref());
        match salt {
            None => of_model.is_some_and(|name| name.as_bytes().starts_with(&model)),
            Some(salt) => {
                of_model.is_none_or(|name| name.as_bytes() == model)
                    && of_salt.is_none_or(|name| name.as_bytes().starts_with(&salt))
            }
        }
    }
}
