//! What runs beside what, kept through the caller's own order: hedges and mirrors hold positions of attempts, which that
//! order changes.

use smallvec::SmallVec;

use super::Wishes;
use crate::table::Leaf;
use crate::table::select::{Attempt, Mirror, Race};

/// An attempt, wherever it stands.
type Who<'t> = (Leaf, &'t str);

/// Hedges and mirrors by those that they are of.
#[derive(Default)]
pub(super) struct Beside<'t> {
    races: Vec<Sides<'t>>,
    mirrors: Vec<(Vec<Who<'t>>, Attempt<'t>)>,
}

/// The two sides of a hedge.
struct Sides<'t> {
    first: Vec<Who<'t>>,
    second: Vec<Who<'t>>,
    race: Race,
}

fn who<'t>(attempt: &Attempt<'t>) -> Who<'t> {
    (attempt.leaf, attempt.model)
}

impl<'t> Beside<'t> {
    /// Adds what the file says of these attempts.
    pub(super) fn add(&mut self, attempts: &[Attempt<'t>], races: &[Race], mirrors: Vec<Mirror<'t>>) {
        let between =
            |from: usize, until: usize| attempts.get(from..until).unwrap_or_default().iter().map(who).collect();
        self.races.extend(races.iter().map(|race| Sides {
            first: between(race.from, race.second),
            second: between(race.second, race.until),
            race: *race,
        }));
        self.mirrors.extend(mirrors.into_iter().map(|mirror| (between(mirror.from, mirror.until), mirror.attempt)));
    }

    /// The hedges that still are some: what is left of the first side comes before what is left of the second, with nobody
    /// else among them. A caller that has put them into another order, or wants no part of one side, has its own order.
    pub(super) fn races(&self, ordered: &[Attempt<'t>]) -> SmallVec<[Race; 1]> {
        let races = self.races.iter().filter_map(|Sides { first, second, race }| {
            let (before, behind) = (runs(ordered, first), runs(ordered, second));
            let ([(from, end)], [(second, until)]) = (before.as_slice(), behind.as_slice()) else { return None };
            (end == second).then_some(Race { from: *from, second: *second, until: *until, ..*race })
        });
        races.collect()
    }

    /// The mirrors of what is still tried. The caller's order is none of a mirror's business, but where the caller does not want
    /// its request to go to a provider, no copy goes there.
    pub(super) fn mirrors(self, wishes: &Wishes, ordered: &[Attempt<'t>]) -> Vec<Mirror<'t>> {
        let wanted = self.mirrors.into_iter().filter(|(_, attempt)| wishes.lets(&attempt.provider.name));
        let placed = wanted.flat_map(|(of, attempt)| {
            runs(ordered, &of).into_iter().map(move |(from, until)| Mirror { from, until, attempt })
        });
        placed.collect()
    }
}

/// Where these stand, as ranges without gaps.
fn runs(ordered: &[Attempt<'_>], of: &[Who<'_>]) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (at, _) in ordered.iter().enumerate().filter(|(_, attempt)| of.contains(&who(attempt))) {
        match runs.last_mut() {
            Some((_, until)) if *until == at => *until = at + 1,
            _ => runs.push((at, at + 1)),
        }
    }
    runs
}
