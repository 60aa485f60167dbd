//! Keys that are stored, page by page.

use std::num::ParseIntError;

use nixl_l2::{Evictable, ObjectKey, ScanCursor};

/// Where the next page begins: a piece of the index, and the last key's hash in it that was shown.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cursor {
    piece: u64,
    after: Option<u64>,
}

impl Cursor {
    /// # Errors
    /// For a text that no page has ended with.
    pub(crate) fn parse(text: &str) -> Result<Self, ParseIntError> {
        match text.split_once('.') {
            Some((piece, after)) => {
                Ok(Self { piece: piece.parse()?, after: Some(u64::from_str_radix(after, 16)?) })
            }
            None => Ok(Self { piece: text.parse()?, after: None }),
        }
    }

    pub(crate) fn text(self) -> String {
        let Self { piece, after } = self;
        after.map_or_else(|| piece.to_string(), |after| format!("{piece}.{after:x}"))
    }
}

/// A page of at most `limit` keys, of this model alone if one is named, each with its bytes; and where the next one begins,
/// if there is more. What stays is shown once from the first page to the last.
pub(crate) fn page(
    objects: &dyn Evictable,
    model: Option<&str>,
    limit: usize,
    cursor: Cursor,
) -> (Vec<(ObjectKey, u64)>, Option<Cursor>) {
    let mut page = Vec::new();
    let mut cursor = cursor;
    loop {
        let (mut piece, next) = objects.list(ScanCursor(cursor.piece));
        // In an order that does not change when others come and go.
        piece.sort_unstable_by_key(|(key, _)| key.hash64());
        for (key, bytes) in piece {
            let hash = key.hash64();
            if cursor.after.is_some_and(|after| hash <= after)
                || model.is_some_and(|model| model != key.model_name())
            {
                continue;
            }
            if page.len() >= limit {
                return (page, Some(cursor));
            }
            cursor.after = Some(hash);
            page.push((key, bytes));
        }
        let Some(next) = next else { return (page, None) };
        cursor = Cursor { piece: next.0, after: None };
        if page.len() >= limit {
            return (page, Some(cursor));
        }
    }
}
