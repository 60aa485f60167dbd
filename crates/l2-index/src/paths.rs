//! A key's path, and the key of a path. Frozen: what is on a disk today must be found by every later version.
//!
//! Two different keys never share a path, a path gives its key back, and a path depends on nothing but the key and the
//! [`Layout`]. Wherever that can hold with LMCache's own file name, LMCache's name is used (the plain form), so that
//! either can read the other's files; else the escaped form is. What follows is the whole rule; `testdata/paths.json`
//! beside this crate has examples for other implementations to check themselves against.
//!
//! # Parts
//! * `RANK`: the rank in lower-case hexadecimal, with zeros in front to at least 8 digits.
//! * `GROUP`: the object group in lower-case hexadecimal, without zeros in front.
//! * `HASH`: the chunk hash in lower-case hexadecimal, two digits a byte.
//! * `SHARDS`: nothing in the flat layout. In the sharded one two directories, `HASH[0:2]/HASH[2:4]/`; for a hash of
//!   one byte, which has no third digit, the second is `__`.
//!
//! # Plain form
//! ```text
//! SHARDS MODEL_RANK_GROUP_HASH.bin          without a salt
//! SHARDS MODEL_RANK_GROUP_HASH@SALT.bin     with one
//! ```
//! (without the space) where `MODEL` is the model name with each `/` replaced by `--`, and `SALT` the salt as it is. It
//! is used exactly when all of these hold:
//!
//! * the model name does not start with `.` or `%`, and has no `@` and no `--` in it;
//! * `MODEL` has no `---` in it (`a/-b` and `a-/b` would both be `a---b`);
//! * neither model name nor salt has a control character (U+0000 to U+001F, U+007F to U+009F);
//! * the file name, without `SHARDS`, has at most 255 bytes.
//!
//! # Escaped form
//! ```text
//! %1_PIECE~/ [%1_PIECE~/ …] SHARDS RANK_GROUP_HASH.bin
//! ```
//! (without the spaces). The pieces together are `MODEL`, or `MODEL@SALT` with a salt, where here `MODEL` and `SALT` are
//! percent-encoded: each byte of a control character or a non-ASCII character, and each `%`, `/` and `@`, is a `%` and
//! two upper-case hexadecimal digits; all else stands for itself. Each piece takes as many bytes as it can, at most 196,
//! without cutting through a `%` and its digits. The `1` is the version of this form. Model and salt come first so
//! that the objects of one model share a few directories instead of having one each.
//!
//! # What follows from it
//! * Each part of a path has 1 to 255 bytes, is neither `.` nor `..`, and does not start with `.`; a path has less than
//!   4096 bytes.
//! * A file's name ends in `.bin`; a directory's is two characters long or ends in `~`. So no file is in the way of a
//!   directory, and a temporary may be called anything that starts with `.`.
//!
//! # Limits
//! File names must be told apart byte by byte: on a file system that folds case, models whose names differ in
//! case alone share files. LMCache's own names are ambiguous: a file that LMCache wrote for the model `a--b` is taken for
//! one of `a/b`.

use std::path::Path;

use l2_core::{KeyScope, ObjectKey};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// How files are spread over directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Layout {
    /// All files of plain names in one directory.
    #[default]
    Flat,
    /// Two levels of directories by the first two bytes of the chunk hash (`shard_dirs`).
    Sharded,
}

/// Longest plain file name, in bytes.
const NAME_MAX: usize = 255;
/// Digits of a rank, at least.
const RANK_DIGITS: usize = 8;
/// Longest chunk hash of a key, in bytes.
const HASH_MAX: usize = 64;
/// Longest piece of an escaped model and salt, in bytes.
const PIECE_MAX: usize = 196;
const FILE_SUFFIX: &str = ".bin";
const ESCAPED_PREFIX: &str = "%1_";
const ESCAPED_SUFFIX: &str = "~";
/// Stands for the second byte of a chunk hash that has only one.
const NO_SECOND_BYTE: &str = "__";
/// What is escaped besides non-ASCII characters.
const UNSAFE: &AsciiSet = &CONTROLS.add(b'%').add(b'/').add(b'@');

/// Where the object of `key` is, relative to the cache directory; also its name where objects have names instead of
/// files.
pub fn key_to_path(key: &ObjectKey, layout: Layout) -> String {
    let mut digits = [0; 2 * HASH_MAX];
    let hash = hex_of(key.chunk_hash(), &mut digits);
    let (rank, group) = (key.kv_rank(), key.object_group_id());
    let mut path = String::with_capacity(NAME_MAX);
    let is_plain = has_plain_name(key, hash.len());
    if !is_plain {
        push_escaped_scope(&mut path, key);
    }
    if layout == Layout::Sharded {
        for shard in [hash.get(..2), hash.get(2..4)] {
            path += shard.unwrap_or(NO_SECOND_BYTE);
            path.push('/');
        }
    }
    if is_plain {
        for (at, part) in key.model_name().split('/').enumerate() {
            path += if at > 0 { "--" } else { "" };
            path += part;
        }
        path.push('_');
    }
    push_hex(&mut path, rank, RANK_DIGITS);
    path.push('_');
    push_hex(&mut path, group, 1);
    path.push('_');
    path += hash;
    if is_plain && !key.cache_salt().is_empty() {
        path.push('@');
        path += key.cache_salt();
    }
    path += FILE_SUFFIX;
    path
}

/// The key whose object is at `relative` in one of the layouts; `None` for a path that no key has.
///
/// Each call makes a [`KeyScope`] of its own. Who keeps many keys should let those of one scope share it:
/// `if key.scope() == &last { last.key(key.chunk_hash()) }`.
pub fn path_to_key(relative: &Path) -> Option<ObjectKey> {
    let path = relative.to_str()?;
    let parts: Vec<&str> = path.split('/').collect();
    let is_escaped = |part: &&&str| part.starts_with(ESCAPED_PREFIX);
    let (escaped, rest) = parts.split_at_checked(parts.iter().take_while(is_escaped).count())?;
    let (layout, name) = match rest {
        [name] => (Layout::Flat, name),
        [_, _, name] => (Layout::Sharded, name),
        _ => return None,
    };
    let key = if escaped.is_empty() { parse_plain(name) } else { parse_escaped(escaped, name) }?;
    // The parsers above take more than there is: this alone says which paths are real.
    (key_to_path(&key, layout) == path).then_some(key)
}

/// The model's name, or the first bytes of it, and after the whole of it those of the salt, if `directory` is one in which there
/// are further pieces of an escaped name, and no objects unless the name ends there. Several names may begin like this.
pub fn name_beginning(directory: &str) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let (mut text, mut last) = (String::new(), 0);
    for part in directory.split('/') {
        let piece = part.strip_prefix(ESCAPED_PREFIX)?.strip_suffix(ESCAPED_SUFFIX)?;
        text += piece;
        last = piece.len();
    }
    let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let (model, salt) = text.split_once('@').map_or((&*text, None), |(model, salt)| (model, Some(salt)));
    // A shorter one is the last.
    (last + "%X".len() >= PIECE_MAX).then(|| (decoded(model), salt.map(decoded)))
}

/// Whether LMCache's name is safe and unambiguous. `hash` is the length of the hash in digits.
fn has_plain_name(key: &ObjectKey, hash: usize) -> bool {
    let (model, salt) = (key.model_name(), key.cache_salt());
    let slashes = model.bytes().filter(|byte| *byte == b'/').count();
    let salt_length = if salt.is_empty() { 0 } else { 1 + salt.len() };
    let rank = digits_of(key.kv_rank()).max(RANK_DIGITS);
    // Three underscores stand between four parts.
    let length = model.len() + slashes + 3 + rank + digits_of(key.object_group_id()) + hash + salt_length;
    let is_dash = |byte: &u8| matches!(byte, b'-' | b'/');
    length + FILE_SUFFIX.len() <= NAME_MAX
        && !model.starts_with(['.', '%'])
        && !model.contains('@')
        // Two dashes could be a slash, and three a slash and a dash on either side of it.
        && !model.as_bytes().windows(2).any(|pair| pair.iter().all(is_dash))
        && !has_control(model)
        && !has_control(salt)
}

fn has_control(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_control()) || !text.is_ascii() && text.chars().any(char::is_control)
}

/// How many hexadecimal digits a number has.
fn digits_of(number: u64) -> usize {
    number.checked_ilog2().map_or(1, |bits| bits as usize / 4 + 1)
}

/// A number in lower-case hexadecimal, with zeros in front to so many digits.
fn push_hex(path: &mut String, number: u64, least: usize) {
    let digits = digits_of(number);
    path.extend(std::iter::repeat_n('0', least.saturating_sub(digits)));
    path.extend((0..digits).rev().filter_map(|place| {
        let digit = number >> (4 * place) & 0xf;
        char::from_digit(u32::try_from(digit).ok()?, 16)
    }));
}

/// A chunk hash in lower-case hexadecimal.
fn hex_of<'a>(hash: &[u8], digits: &'a mut [u8; 2 * HASH_MAX]) -> &'a str {
    let digits = digits.get_mut(..2 * hash.len()).unwrap_or_default();
    // As long as the hash takes.
    let _ = hex::encode_to_slice(hash, digits);
    std::str::from_utf8(digits).unwrap_or_default()
}

fn parse_plain(name: &str) -> Option<ObjectKey> {
    let stem = name.strip_suffix(FILE_SUFFIX)?;
    let (stem, salt) = stem.split_once('@').unwrap_or((stem, ""));
    let (model, rank, group, hash) = split_tail(stem)?;
    KeyScope::new(&model?.replace("--", "/"), rank, group, salt).ok()?.key(&hash).ok()
}

fn push_escaped_scope(path: &mut String, key: &ObjectKey) {
    let mut text = utf8_percent_encode(key.model_name(), UNSAFE).to_string();
    if !key.cache_salt().is_empty() {
        text.push('@');
        text.extend(utf8_percent_encode(key.cache_salt(), UNSAFE));
    }
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (piece, after) = cut_piece(rest);
        for part in [ESCAPED_PREFIX, piece, ESCAPED_SUFFIX, "/"] {
            *path += part;
        }
        rest = after;
    }
}

/// The first piece of `text` (which is ASCII), and the rest.
fn cut_piece(text: &str) -> (&str, &str) {
    let Some(head) = text.get(..PIECE_MAX) else { return (text, "") };
    let cut = head.rfind('%').filter(|at| at + "%XX".len() > PIECE_MAX).unwrap_or(PIECE_MAX);
    text.split_at_checked(cut).unwrap_or((text, ""))
}

fn parse_escaped(directories: &[&str], name: &str) -> Option<ObjectKey> {
    let mut text = String::new();
    for directory in directories {
        text += directory.strip_prefix(ESCAPED_PREFIX)?.strip_suffix(ESCAPED_SUFFIX)?;
    }
    let (model, salt) = text.split_once('@').unwrap_or((&text, ""));
    let model = percent_decode_str(model).decode_utf8().ok()?;
    let salt = percent_decode_str(salt).decode_utf8().ok()?;
    let (_, rank, group, hash) = split_tail(name.strip_suffix(FILE_SUFFIX)?)?;
    KeyScope::new(&model, rank, group, &salt).ok()?.key(&hash).ok()
}

/// `[MODEL_]RANK_GROUP_HASH` in its parts.
fn split_tail(stem: &str) -> Option<(Option<&str>, u64, u64, Vec<u8>)> {
    let mut parts = stem.rsplitn(4, '_');
    let hash = hex::decode(parts.next()?).ok()?;
    let group = u64::from_str_radix(parts.next()?, 16).ok()?;
    let rank = u64::from_str_radix(parts.next()?, 16).ok()?;
    Some((parts.next(), rank, group, hash))
}
