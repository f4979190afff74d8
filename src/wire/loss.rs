//! The loss ledger: what a translation could not carry as it was. Never silent.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

/// What became of a field that the target cannot express as it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Reached by other means with the same meaning.
    Emulated,
    /// Carried with less than its full meaning.
    Degraded,
    /// Not carried.
    Dropped,
}

/// One field that was not carried as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// Path of the field in the caller's document, array positions left out: `messages.content.cache_control`.
    pub field: Cow<'static, str>,
    pub effect: Effect,
    /// Why, and what was done instead; lower case, no full stop.
    pub reason: Cow<'static, str>,
}

/// The losses of one translation, each (field, effect) once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Losses(Vec<Loss>);

impl Losses {
    pub fn emulated(&mut self, field: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) {
        self.add(field.into(), Effect::Emulated, reason.into());
    }

    pub fn degraded(&mut self, field: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) {
        self.add(field.into(), Effect::Degraded, reason.into());
    }

    pub fn dropped(&mut self, field: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) {
        self.add(field.into(), Effect::Dropped, reason.into());
    }

    /// Members that nobody modelled and that the target's protocol therefore cannot carry; `prefix` is the path of their
    /// object with its full stop (`messages.`), or empty. A `null` is no loss: it said nothing.
    pub fn dropped_ext(&mut self, prefix: &str, ext: &super::json::Ext) {
        for key in ext.keys() {
            if !ext.get(key).is_some_and(super::json::says_nothing) {
                self.dropped(format!("{prefix}{key}"), "the target's protocol has no member for it");
            }
        }
    }

    fn add(&mut self, field: Cow<'static, str>, effect: Effect, reason: Cow<'static, str>) {
        if !self.0.iter().any(|known| known.field == field && known.effect == effect) {
            self.0.push(Loss { field, effect, reason });
        }
    }

    pub fn extend(&mut self, other: &Losses) {
        for loss in &other.0 {
            self.add(loss.field.clone(), loss.effect, loss.reason.clone());
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Loss> {
        self.0.iter()
    }
}

/// The form of the header `x-routeplane-losses`: `seed=dropped, messages.name=dropped`.
impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, loss) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            let effect = match loss.effect {
                Effect::Emulated => "emulated",
                Effect::Degraded => "degraded",
                Effect::Dropped => "dropped",
            };
            write!(f, "{separator}{}={effect}", loss.field)?;
        }
        Ok(())
    }
}
