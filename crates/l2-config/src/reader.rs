//! The second stage: one object of the raw tree, read field by field; what nobody read is a fault.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use crate::error::{ConfigError, Faults, Reported};
use crate::fields::{self, Field, Kind, Place, Preset, Scope};
use crate::raw::Raw;
use crate::{secret, unknown, value};

const MISSING: &str = "missing";

/// Reads the object at one place of one text.
pub(crate) struct Reader<'a> {
    place: Place,
    entries: &'a [(String, Raw)],
    taken: RefCell<Vec<&'static str>>,
    scope: Cell<Scope>,
    faults: &'a Faults,
}

impl<'a> Reader<'a> {
    /// The reader of the whole text, of which nothing is known yet.
    pub(crate) fn top(raw: &'a Raw, faults: &'a Faults) -> Result<Self, Reported> {
        match raw {
            Raw::Object(entries) => Ok(Self::new(Place::Top, entries, Scope::ANY, faults)),
            // Not shown: a text that is not even an object may be anything, a secret too.
            _ => Err(faults.report(
                ConfigError::new("$", "not a JSON object")
                    .allowed("an object with at least \"type\" and \"backend\""),
            )),
        }
    }

    fn new(place: Place, entries: &'a [(String, Raw)], scope: Scope, faults: &'a Faults) -> Self {
        let mut seen = BTreeSet::new();
        for (key, raw) in entries {
            if !seen.insert(key) {
                let fault = ConfigError::new(secret::path(place.path(), key), "the same key twice")
                    .given(raw.shown(key))
                    .suggestion("keep one of them".to_owned());
                faults.report(fault);
            }
        }
        Self { place, entries, taken: RefCell::default(), scope: Cell::new(scope), faults }
    }

    /// Says what the text is about; fields of others are then left unread.
    pub(crate) fn set_scope(&self, scope: Scope) {
        self.scope.set(scope);
    }

    pub(crate) fn scope(&self) -> Scope {
        self.scope.get()
    }

    /// The reader of an object inside; `None` if it is not given.
    pub(crate) fn object(&self, field: &Field, place: Place) -> Result<Option<Reader<'a>>, Reported> {
        let Some(raw) = self.take(field) else { return Ok(None) };
        match raw {
            Raw::Object(entries) => Ok(Some(Reader::new(place, entries, self.scope(), self.faults))),
            _ => Err(self.misfit(field, value::not(field.kind))),
        }
    }

    /// As [`Reader::object`], but one that is not given counts as empty, so that what misses in it is named.
    pub(crate) fn object_or_empty(&self, field: &Field, place: Place) -> Result<Reader<'a>, Reported> {
        let given = self.object(field, place)?;
        Ok(given.unwrap_or_else(|| Reader::new(place, &[], self.scope(), self.faults)))
    }

    pub(crate) fn boolean(&self, field: &Field) -> Result<Option<bool>, Reported> {
        let preset = if let Preset::Boolean(preset) = field.default { Some(preset) } else { None };
        Ok(self.convert(field, value::boolean)?.or(preset))
    }

    pub(crate) fn integer(&self, field: &Field) -> Result<Option<u64>, Reported> {
        let (min, max) = if let Kind::Integer { min, max } = field.kind { (min, max) } else { (0, u64::MAX) };
        self.convert(field, |raw| value::integer(raw, min, max))
    }

    pub(crate) fn number(&self, field: &Field) -> Result<Option<f64>, Reported> {
        let preset = if let Preset::Number(preset) = field.default { Some(preset) } else { None };
        Ok(self.convert(field, |raw| value::number(raw, field.kind))?.or(preset))
    }

    pub(crate) fn text(&self, field: &Field) -> Result<Option<&'a str>, Reported> {
        let may_be_blank = matches!(field.kind, Kind::Text { may_be_blank: true });
        self.convert(field, |raw| value::text(raw, may_be_blank))
    }

    /// The one of `choices` with exactly the given name; a near miss is named in the fault.
    pub(crate) fn choice<T: Copy>(
        &self,
        field: &Field,
        choices: &[T],
        name: impl Fn(T) -> &'static str,
    ) -> Result<Option<T>, Reported> {
        let Some(raw) = self.take(field) else { return Ok(None) };
        value::choice(raw, choices, &name).map(Some).map_err(|problem| {
            let nearest = unknown::nearest_choice(raw, choices, &name);
            let advice = nearest.map(|choice| unknown::did_you_mean(name(choice)));
            let fault = self.fault(field, problem).allowed(names_of(choices, name));
            self.faults.report(fault.suggestion(advice))
        })
    }

    /// As [`Reader::choice`], for a field that is required.
    pub(crate) fn need_choice<T: Copy>(
        &self,
        field: &Field,
        choices: &[T],
        name: impl Fn(T) -> &'static str,
    ) -> Result<T, Reported> {
        self.choice(field, choices, &name)?
            .ok_or_else(|| self.faults.report(self.fault(field, MISSING).allowed(names_of(choices, name))))
    }

    /// Any field as the text that a plugin takes.
    pub(crate) fn plugin_text(&self, field: &Field) -> Result<Option<String>, Reported> {
        match field.kind {
            Kind::Choice(choices) => Ok(self.choice(field, choices, |name| name)?.map(str::to_owned)),
            kind => self.convert(field, |raw| value::plugin_text(raw, kind)),
        }
    }

    /// The one of `choices` that is given or was probably meant. Reports nothing.
    pub(crate) fn nearest<T: Copy>(
        &self,
        field: &Field,
        choices: &[T],
        name: impl Fn(T) -> &'static str,
    ) -> Option<T> {
        unknown::nearest_choice(self.peek(field)?, choices, name)
    }

    /// Whether a field that applies is given at all.
    pub(crate) fn is_given(&self, field: &Field) -> bool {
        self.take(field).is_some()
    }

    /// Whether a field that applies is given, and not as an empty text.
    pub(crate) fn is_filled(&self, field: &Field) -> bool {
        self.take(field).is_some_and(|raw| !matches!(raw, Raw::Text(text) if text.is_empty()))
    }

    /// What a required field holds; that it is missing is a fault.
    pub(crate) fn need<T>(&self, field: &Field, value: Result<Option<T>, Reported>) -> Result<T, Reported> {
        value?.ok_or_else(|| self.faults.report(self.fault(field, MISSING).allowed(field.allowed())))
    }

    /// Checks the fields that nobody asked for yet, keeping none: for a text of which it is not known what it is about.
    pub(crate) fn check_rest(&self) {
        let scope = self.scope();
        let here = fields::FIELDS.iter().filter(|field| field.place == self.place && field.applies(scope));
        for field in here.filter(|field| !self.taken.borrow().contains(&field.name)) {
            // What is wrong is reported; there is nothing else to do with it.
            let _ = self.plugin_text(field);
        }
    }

    /// Reports what the kind of a field alone cannot say.
    pub(crate) fn reject(
        &self,
        field: &Field,
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) -> Reported {
        self.faults.report(self.fault(field, problem).suggestion(advice.into()))
    }

    /// As [`Reader::reject`], with what is allowed instead.
    pub(crate) fn refuse(
        &self,
        field: &Field,
        problem: impl Into<String>,
        allowed: impl Into<String>,
        advice: impl Into<String>,
    ) -> Reported {
        self.is_given(field);
        self.faults.report(self.fault(field, problem).allowed(allowed).suggestion(advice.into()))
    }

    /// Reports a number that its field's kind allows and its use does not.
    pub(crate) fn out_of_range(&self, field: &Field, allowed: impl Into<String>) -> Reported {
        self.faults.report(self.fault(field, value::OUT_OF_RANGE).allowed(allowed))
    }

    /// Reports every key that nothing read. To be called once all fields were asked for.
    pub(crate) fn finish(self) {
        let taken = self.taken.borrow();
        for (key, raw) in self.entries.iter().filter(|(key, _)| !taken.contains(&key.as_str())) {
            self.faults.report(unknown::fault(self.place, self.scope(), key, raw));
        }
    }

    fn convert<T>(
        &self,
        field: &Field,
        convert: impl FnOnce(&'a Raw) -> Result<T, value::Misfit>,
    ) -> Result<Option<T>, Reported> {
        let Some(raw) = self.take(field) else { return Ok(None) };
        convert(raw).map(Some).map_err(|problem| self.misfit(field, problem))
    }

    fn misfit(&self, field: &Field, problem: value::Misfit) -> Reported {
        self.faults.report(self.fault(field, problem).allowed(field.allowed()))
    }

    /// The value under a field that applies, which is then no longer unknown.
    fn take(&self, field: &Field) -> Option<&'a Raw> {
        if !field.applies(self.scope()) {
            return None;
        }
        let raw = self.peek(field)?;
        self.taken.borrow_mut().push(field.name);
        Some(raw)
    }

    /// The value under a field, with nothing checked and nothing marked. Of two equal keys the last counts.
    fn peek(&self, field: &Field) -> Option<&'a Raw> {
        self.entries.iter().rev().find(|(key, _)| key == field.name).map(|(_, raw)| raw)
    }

    fn fault(&self, field: &Field, problem: impl Into<String>) -> ConfigError {
        ConfigError::new(field.path(), problem).given(self.peek(field).and_then(|raw| raw.shown(field.name)))
    }
}

fn names_of<T: Copy>(choices: &[T], name: impl Fn(T) -> &'static str) -> String {
    let names: Vec<_> = choices.iter().map(|choice| name(*choice)).collect();
    fields::any_of(&names)
}
