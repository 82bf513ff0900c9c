//! Inputs: a seed and a few mutations of it, drawn and shrunk by proptest. Pure.

use std::ops::Range;

use proptest::prelude::*;

/// The longest input, in bytes. Parsers of longer ones have bounds of their own, with tests of their own.
pub const LONGEST: usize = 64 * 1024;
/// The most mutations of an input.
const MOST: usize = 6;
/// Numbers at which arithmetic breaks.
const EDGES: [u64; 9] = [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX];

/// What is done to an input. Places are taken modulo its length.
#[derive(Clone, Debug)]
pub enum Mutation {
    /// One bit is the other one.
    Flip(usize, u8),
    /// These bytes stand there instead of as many others.
    Overwrite(usize, Vec<u8>),
    /// These bytes are put in.
    Insert(usize, Vec<u8>),
    /// So many bytes are taken out.
    Delete(usize, usize),
    /// So many bytes stand there again and again.
    Repeat(usize, usize, usize),
    /// So many bytes of the seed with this number, from there on, are put in.
    Splice(usize, usize, usize, usize),
    /// The word with this number is put in.
    Word(usize, usize),
    /// An edge of arithmetic, as so many bytes: the lowest first or last.
    Edge(usize, usize, u8, bool),
    /// Nothing is left from there on.
    Cut(usize),
}

/// A seed by its number and what is done to it.
#[derive(Clone, Debug)]
pub struct MutationPlan {
    /// The number of the seed.
    pub seed: usize,
    /// The mutations, in order.
    pub mutations: Vec<Mutation>,
}

/// Plans over all seeds.
pub fn plans() -> impl Strategy<Value = MutationPlan> {
    let mutations = prop::collection::vec(mutation(), 0..=MOST);
    (any::<usize>(), mutations).prop_map(|(seed, mutations)| MutationPlan { seed, mutations })
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<usize>();
    let bytes = |size: Range<usize>| prop::collection::vec(any::<u8>(), size);
    prop_oneof![
        1 => (at, 0..8u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        1 => (at, bytes(1..9)).prop_map(|(at, bytes)| Mutation::Overwrite(at, bytes)),
        1 => (at, bytes(1..17)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        1 => (at, 1..64usize).prop_map(|(at, count)| Mutation::Delete(at, count)),
        1 => (at, 1..64usize, 1..200usize).prop_map(|(at, count, times)| Mutation::Repeat(at, count, times)),
        1 => (at, any::<usize>(), any::<usize>(), 1..256usize)
            .prop_map(|(at, seed, from, count)| Mutation::Splice(at, seed, from, count)),
        4 => (at, any::<usize>()).prop_map(|(at, word)| Mutation::Word(at, word)),
        1 => (at, any::<usize>(), 1..9u8, any::<bool>())
            .prop_map(|(at, edge, width, low_first)| Mutation::Edge(at, edge, width, low_first)),
        1 => at.prop_map(Mutation::Cut),
    ]
}

impl MutationPlan {
    /// The input, at most [`LONGEST`] bytes. Without any seed it begins with nothing.
    pub fn input(&self, seeds: &[Vec<u8>], words: &[&[u8]]) -> Vec<u8> {
        let seed = |number: usize| seeds.get(number.checked_rem(seeds.len()).unwrap_or_default());
        let mut input = seed(self.seed).cloned().unwrap_or_default();
        for mutation in &self.mutations {
            mutation.apply(&mut input, &seed, words);
            input.truncate(LONGEST);
        }
        input
    }
}

impl Mutation {
    fn apply<'a>(&self, input: &mut Vec<u8>, seed: &dyn Fn(usize) -> Option<&'a Vec<u8>>, words: &[&[u8]]) {
        let within = |at: usize, length: usize| at.checked_rem(length).unwrap_or_default();
        let range = |at: usize, count: usize, length: usize| {
            let at = within(at, length);
            at..length.min(at + count)
        };
        let put = |input: &mut Vec<u8>, at: usize, bytes: &[u8]| {
            let at = within(at, input.len() + 1);
            input.splice(at..at, bytes.iter().copied());
        };
        match self {
            Self::Flip(at, bit) => {
                let at = within(*at, input.len());
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            Self::Overwrite(at, bytes) => {
                let place = range(*at, bytes.len(), input.len());
                input.splice(place, bytes.iter().copied());
            }
            Self::Insert(at, bytes) => put(input, *at, bytes),
            Self::Delete(at, count) => {
                let place = range(*at, *count, input.len());
                input.drain(place);
            }
            Self::Repeat(at, count, times) => {
                let piece = input[range(*at, *count, input.len())].repeat(*times);
                put(input, *at, &piece);
            }
            Self::Splice(at, number, from, count) => {
                let other = seed(*number).map_or(&[][..], Vec::as_slice);
                put(input, *at, &other[range(*from, *count, other.len())]);
            }
            Self::Word(at, number) => {
                let word = words.get(within(*number, words.len())).copied().unwrap_or_default();
                put(input, *at, word);
            }
            Self::Edge(at, number, width, low_first) => {
                let width = usize::from(*width).min(8);
                let edge = EDGES[number % EDGES.len()].to_le_bytes();
                let mut bytes = edge[..width].to_vec();
                if !low_first {
                    bytes.reverse();
                }
                let place = range(*at, width, input.len());
                input.splice(place, bytes);
            }
            Self::Cut(at) => input.truncate(within(*at, input.len() + 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest! {
        #[test]
        fn any_plan_makes_an_input_within_the_bound(plan in plans(), seeds in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..3)) {
            prop_assert!(plan.input(&seeds, &[]).len() <= LONGEST);
            prop_assert!(plan.input(&seeds, &[b"word"]).len() <= LONGEST);
            let calm = MutationPlan { mutations: Vec::new(), ..plan };
            prop_assert!(seeds.is_empty() || seeds.contains(&calm.input(&seeds, &[])));
        }
    }
}
