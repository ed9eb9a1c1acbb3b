//! The tree over the leaves, kept as its frontier: all that an append needs.

use sha2::{Digest, Sha256};

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// The roots of the perfect subtrees that make up a tree, largest first. There is one for each
/// one-bit of the size; the largest log has 64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

impl Frontier {
    /// Restores a frontier; `None` if the number of `roots` doesn't match a tree of `size` leaves.
    pub fn from_parts(size: u64, roots: Vec<Hash>) -> Option<Self> {
        (usize::try_from(size.count_ones()) == Ok(roots.len())).then_some(Self { size, roots })
    }

    /// Restores the stored form: 32 bytes for each root, largest first.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Option<Self> {
        let (roots, rest) = bytes.as_chunks::<32>();
        if rest.is_empty() { Self::from_parts(size, roots.to_vec()) } else { None }
    }

    /// The stored form, 32 bytes for each root.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.roots.concat()
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the perfect subtrees, largest first.
    pub fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// Adds the next leaf. Each subtree as high as the growing one at the right end is joined with
    /// it, once for each trailing one-bit of the old size.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.roots.pop() else { break };
            node = join(&left, &node);
        }
        self.roots.push(node);
        self.size += 1;
    }

    /// The root of the tree: the fold of the frontier from the right; SHA-256 of nothing for no
    /// leaves.
    pub fn root(&self) -> Hash {
        let mut from_right = self.roots.iter().rev();
        match from_right.next() {
            None => Sha256::digest([]).into(),
            Some(smallest) => from_right.fold(*smallest, |right, left| join(left, &right)),
        }
    }
}

/// An inner node: `SHA-256(0x01 ‖ left ‖ right)`.
fn join(left: &Hash, right: &Hash) -> Hash {
    let mut digest = Sha256::new();
    digest.update([1]);
    digest.update(left);
    digest.update(right);
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962, section 2.1, word for word: the recursive definition.
    fn root_by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [leaf] => *leaf,
            _ => {
                let half = leaves.len().next_power_of_two() / 2;
                join(&root_by_definition(&leaves[..half]), &root_by_definition(&leaves[half..]))
            }
        }
    }

    #[test]
    fn the_frontier_has_the_root_of_the_definition_at_every_size() {
        let leaves: Vec<Hash> = (0_u8..70).map(|n| Sha256::digest([0, n]).into()).collect();
        let mut frontier = Frontier::default();
        assert_eq!(frontier.root(), root_by_definition(&[]));
        for (n, leaf) in leaves.iter().enumerate() {
            frontier.push(*leaf);
            assert_eq!(frontier.root(), root_by_definition(&leaves[..=n]), "size {}", n + 1);
            assert_eq!(
                Frontier::from_bytes(frontier.size(), &frontier.to_bytes()),
                Some(frontier.clone())
            );
        }
    }

    #[test]
    fn a_frontier_of_another_size_is_refused() {
        assert_eq!(Frontier::from_parts(3, vec![[0; 32]]), None);
        assert_eq!(Frontier::from_bytes(1, &[0; 33]), None);
    }
}
