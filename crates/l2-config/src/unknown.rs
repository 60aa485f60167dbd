//! Keys that nothing read: of another adapter or backend, at the wrong level, or misspelled.

use crate::error::ConfigError;
use crate::fields::{self, FIELDS, Field, Place, Role, Scope};
use crate::raw::Raw;
use crate::secret;

/// Longer keys are not compared with known ones: nobody misspelled them.
const COMPARED_CHARS: usize = 40;

/// The fault of a key at `place` that no reader took.
pub(crate) fn fault(place: Place, scope: Scope, key: &str, raw: &Raw) -> ConfigError {
    let path = secret::path(place.path(), key);
    let fault = |problem: &str| ConfigError::new(path.clone(), problem).given(raw.shown(key));
    let of_this_name = || FIELDS.iter().filter(|field| field.name == key);
    let here = of_this_name().find(|field| field.place == place);
    let elsewhere = of_this_name().find(|field| field.applies(scope) && field.role != Role::Refused);

    if here.is_none()
        && let Some(field) = elsewhere
    {
        return fault("at the wrong level").suggestion(format!("move it {}", into(field.place)));
    }
    if let Some(field) = here.or(of_this_name().next()) {
        return foreign(fault, field, scope);
    }
    match nearest_field(place, scope, key) {
        Some(field) if field.place == place => fault("unknown key").suggestion(did_you_mean(field.name)),
        Some(field) => fault("unknown key").suggestion(format!(
            "did you mean \"{}\", {}?",
            field.name,
            inside(field.place)
        )),
        None => {
            let known: Vec<_> = fields_of(place, scope).map(|field| field.name).collect();
            fault("unknown key").allowed(fields::any_of(&known))
        }
    }
}

/// The fault of a key that belongs to another adapter, or to other backends.
fn foreign(fault: impl Fn(&str) -> ConfigError, field: &Field, scope: Scope) -> ConfigError {
    match (scope.adapter, scope.backend) {
        (Some(adapter), _) if !field.adapters.contains(&adapter) => {
            let owners: Vec<_> = field.adapters.iter().map(|adapter| adapter.name()).collect();
            let owners = fields::any_of(&owners);
            fault(&format!("has no meaning for {}", adapter.name()))
                .suggestion(format!("remove it, or use the type {owners}"))
        }
        (_, Some(backend)) if !field.backends.contains(&backend) => {
            let owners: Vec<_> = field.backends.iter().map(|backend| backend.name()).collect();
            fault(&format!("has no meaning for {backend}"))
                .suggestion(format!("remove it: it belongs to {}", fields::any_of(&owners)))
        }
        _ => fault("unknown key"),
    }
}

/// Fields that may be given at a place.
fn fields_of(place: Place, scope: Scope) -> impl Iterator<Item = &'static Field> {
    FIELDS
        .iter()
        .filter(move |field| field.place == place && field.applies(scope) && field.role != Role::Refused)
}

/// The field that was probably meant: one of this place, or else of another.
pub(crate) fn nearest_field(place: Place, scope: Scope, key: &str) -> Option<&'static Field> {
    let elsewhere = Place::ALL.iter().copied().filter(move |other| *other != place);
    std::iter::once(place)
        .chain(elsewhere)
        .find_map(|place| nearest(key, fields_of(place, scope), |field| field.name))
}

/// The choice that was probably meant.
pub(crate) fn nearest_choice<T: Copy>(
    raw: &Raw,
    choices: &[T],
    name: impl Fn(T) -> &'static str,
) -> Option<T> {
    match raw {
        Raw::Text(text) => nearest(text, choices.iter().copied(), name),
        _ => None,
    }
}

/// The candidate whose name is nearest, if it is near: a third of the letters may differ, or one name holds the other.
fn nearest<T: Copy>(
    given: &str,
    candidates: impl Iterator<Item = T>,
    name: impl Fn(T) -> &'static str,
) -> Option<T> {
    let given = given.trim().to_lowercase();
    let length = given.chars().count();
    if length > COMPARED_CHARS {
        return None;
    }
    candidates
        .filter_map(|candidate| {
            let name = name(candidate).to_lowercase();
            let distance = strsim::damerau_levenshtein(&given, &name);
            let holds = length >= 4 && name.len() >= 4 && (name.contains(&given) || given.contains(&name));
            (holds || distance * 3 <= length.max(name.len())).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

pub(crate) fn did_you_mean(name: &str) -> String {
    format!("did you mean \"{name}\"?")
}

fn into(place: Place) -> String {
    match place {
        Place::Top => "to the top level".to_owned(),
        inner => format!("into {}", inner.path()),
    }
}

fn inside(place: Place) -> String {
    match place {
        Place::Top => "at the top level".to_owned(),
        inner => format!("in {}", inner.path()),
    }
}
