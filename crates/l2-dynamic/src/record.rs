//! What is kept beside an object's file: its checksum, its key and its layout tag, as JSON that a person can read.

use std::borrow::Cow;

use l2_core::{Damage, ObjectKey};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

/// The form that is written. One that a later version writes is not understood, and counts as none.
const VERSION: u8 = 1;

/// What is known of an object beyond its bytes.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record<'a> {
    v: u8,
    bytes: u64,
    /// XXH3, 128 bits, of all bytes, in hexadecimal.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    xxh3_128: Option<Cow<'a, str>>,
    #[serde(borrow)]
    model_name: Cow<'a, str>,
    kv_rank: u64,
    object_group_id: u64,
    #[serde(borrow)]
    chunk_hash_hex: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    cache_salt: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    layout_tag: Option<Cow<'a, str>>,
}

impl<'a> Record<'a> {
    /// What is kept beside a file, understood; `None` for what a later version has written, or nobody of us.
    pub(crate) fn read(beside: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(beside).ok().filter(|record: &Self| record.v == VERSION)
    }

    /// Whether it is of the object of this key.
    pub(crate) fn is_of(&self, key: &ObjectKey) -> bool {
        self.model_name == key.model_name()
            && self.kv_rank == key.kv_rank()
            && self.object_group_id == key.object_group_id()
            && self.chunk_hash_hex == key.chunk_hash_hex()
            && self.cache_salt == key.cache_salt()
    }

    /// The object's length in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The checksum, as [`checksum_text`] writes it.
    pub(crate) fn checksum(&self) -> Option<&str> {
        self.xxh3_128.as_deref()
    }

    /// The tag of the layout that the object was stored with.
    pub(crate) fn layout_tag(&self) -> Option<&str> {
        self.layout_tag.as_deref()
    }
}

/// What a file must be to be served.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    /// Whether a checksum is kept and compared.
    pub(crate) checksum: bool,
    /// Whether that is also so for memory that cannot be read, which is refused then. Otherwise such objects have none.
    pub(crate) of_all: bool,
    /// The tag that objects have; `None` for any.
    pub(crate) layout_tag: Option<String>,
}

impl Rules {
    /// Whether anything is kept beside files.
    pub(crate) fn keeps_records(&self) -> bool {
        self.checksum || self.layout_tag.is_some()
    }

    /// What is to be kept beside the file of an object. Only with a checksum its bytes are read; `None` where they cannot be.
    pub(crate) fn record_of(&self, key: &ObjectKey, bytes: Option<&[u8]>, length: u64) -> Vec<u8> {
        let record = Record {
            v: VERSION,
            bytes: length,
            xxh3_128: bytes.filter(|_| self.checksum).map(|bytes| Cow::Owned(hex(bytes))),
            model_name: key.model_name().into(),
            kv_rank: key.kv_rank(),
            object_group_id: key.object_group_id(),
            chunk_hash_hex: key.chunk_hash_hex().into(),
            cache_salt: key.cache_salt().into(),
            layout_tag: self.layout_tag.as_deref().map(Cow::Borrowed),
        };
        // It is text and numbers: nothing in it can fail to be written.
        serde_json::to_vec(&record).unwrap_or_default()
    }

    /// Whether the file of an object, of this length and with this beside it, may be served: without its bytes, as far as
    /// can be told. What must be true of them.
    ///
    /// # Errors
    /// [`Damage::Unverified`] when it is of another key, length or tag, or of none.
    pub(crate) fn check(
        &self,
        key: &ObjectKey,
        length: u64,
        beside: Option<&[u8]>,
    ) -> Result<Promise, Damage> {
        if !self.keeps_records() {
            return Ok(Promise(None));
        }
        let record = beside.and_then(Record::read).ok_or(Damage::Unverified)?;
        let has_tag =
            self.layout_tag.is_none() || record.layout_tag == self.layout_tag.as_deref().map(Cow::Borrowed);
        let is_right = record.bytes == length && record.is_of(key) && has_tag;
        let checksum = record.xxh3_128.filter(|_| self.checksum);
        if !is_right || self.checksum && self.of_all && checksum.is_none() {
            return Err(Damage::Unverified);
        }
        Ok(Promise(checksum.map(Cow::into_owned)))
    }
}

/// What must be true of an object's bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Promise(Option<String>);

impl Promise {
    /// Whether these are the bytes.
    pub(crate) fn is_kept_by(&self, bytes: &[u8]) -> bool {
        self.0.as_ref().is_none_or(|promised| *promised == hex(bytes))
    }

    /// Whether the bytes have to be looked at.
    pub(crate) fn is_of_bytes(&self) -> bool {
        self.0.is_some()
    }
}

fn hex(bytes: &[u8]) -> String {
    checksum_text(xxh3_128(bytes))
}

/// A checksum as a record has it.
pub(crate) fn checksum_text(checksum: u128) -> String {
    format!("{checksum:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use l2_core::KeyScope;
    use proptest::prelude::*;

    fn key(model: &str, salt: &str, hash: &[u8]) -> ObjectKey {
        KeyScope::new(model, 0x0401_0401, 11, salt).unwrap().key(hash).unwrap()
    }

    fn rules(checksum: bool, tag: Option<&str>) -> Rules {
        Rules { checksum, of_all: checksum, layout_tag: tag.map(str::to_owned) }
    }

    #[test]
    fn a_record_is_what_the_docs_say() {
        let key = key("org/m", "alice", &[0xab; 4]);
        let record = rules(true, Some("bf16")).record_of(&key, Some(b"bytes"), 5);
        assert_eq!(
            String::from_utf8(record).unwrap(),
            r#"{"v":1,"bytes":5,"xxh3_128":"95f64cad147d23ee983871c230125b12","model_name":"org/m","kv_rank":67175425,"object_group_id":11,"chunk_hash_hex":"abababab","cache_salt":"alice","layout_tag":"bf16"}"#
        );
        let record = rules(false, None).record_of(&self::key("m", "", &[1]), Some(b"bytes"), 5);
        assert_eq!(
            String::from_utf8(record).unwrap(),
            r#"{"v":1,"bytes":5,"model_name":"m","kv_rank":67175425,"object_group_id":11,"chunk_hash_hex":"01"}"#
        );
    }

    proptest! {
        #[test]
        fn what_was_written_is_accepted_for_its_own_bytes_alone(
            model in "[a-z\"\\\\é]{1,9}", salt in "[a-z\"\u{1}é]{0,9}", tag in prop::option::of("[ -~é\u{7f}]{1,9}"),
            bytes in prop::collection::vec(any::<u8>(), 1..99), flip in any::<prop::sample::Index>(), bit in 0..8u8,
        ) {
            let (rules, key) = (rules(true, tag.as_deref()), key(&model, &salt, &[7; 32]));
            let length = bytes.len() as u64;
            let record = rules.record_of(&key, Some(&bytes), length);
            let promise = rules.check(&key, length, Some(&record)).unwrap();
            prop_assert!(promise.is_of_bytes() && promise.is_kept_by(&bytes));
            let mut changed = bytes.clone();
            changed[flip.index(bytes.len())] ^= 1 << bit;
            prop_assert!(!promise.is_kept_by(&changed));
            prop_assert!(!promise.is_kept_by(&bytes[1..]));
        }
    }

    #[test]
    fn the_record_of_another_is_not_accepted() {
        let (of, rules) = (key("org/m", "alice", &[1; 32]), rules(true, Some("bf16")));
        let record = rules.record_of(&of, Some(b"bytes"), 5);
        let others = [
            key("org/n", "alice", &[1; 32]),
            key("org/m", "", &[1; 32]),
            key("org/m", "alice", &[2; 32]),
            KeyScope::new("org/m", 0x0401_0402, 11, "alice").unwrap().key(&[1; 32]).unwrap(),
            KeyScope::new("org/m", 0x0401_0401, 12, "alice").unwrap().key(&[1; 32]).unwrap(),
        ];
        for other in &others {
            assert_eq!(rules.check(other, 5, Some(&record)), Err(Damage::Unverified), "{other}");
        }
        assert_eq!(rules.check(&of, 6, Some(&record)), Err(Damage::Unverified));
        for tag in [Some("fp8"), Some("bf16 ")] {
            assert_eq!(self::rules(true, tag).check(&of, 5, Some(&record)), Err(Damage::Unverified));
        }
        assert!(self::rules(true, None).check(&of, 5, Some(&record)).is_ok(), "any tag will do");
    }

    #[test]
    fn without_a_record_only_those_are_served_who_ask_for_none() {
        let key = key("m", "", &[1]);
        let tagged = rules(false, Some("t"));
        let record = tagged.record_of(&key, Some(b""), 5);
        for beside in [None, Some(&b""[..]), Some(b"{}"), Some(b"\xff"), Some(&record[1..])] {
            for rules in [rules(true, None), rules(false, Some("t")), rules(true, Some("t"))] {
                assert_eq!(rules.check(&key, 5, beside), Err(Damage::Unverified));
            }
            assert_eq!(rules(false, None).check(&key, 5, beside), Ok(Promise(None)));
        }
        assert_eq!(tagged.check(&key, 5, Some(&record)), Ok(Promise(None)));
        // It has no checksum.
        assert_eq!(rules(true, Some("t")).check(&key, 5, Some(&record)), Err(Damage::Unverified));
        let later = String::from_utf8(record).unwrap().replace("\"v\":1", "\"v\":2");
        assert_eq!(tagged.check(&key, 5, Some(later.as_bytes())), Err(Damage::Unverified));
    }
}
