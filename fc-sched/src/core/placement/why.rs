//! Finds why there is no node for an instance.

use super::index::{Dim, Room, resources, room};
use super::{Cluster, Demand, Tenancy, Unplaceable};

impl Cluster {
    /// Why nothing was found. Looks at offers and classes, never at single nodes.
    pub(super) fn why(&self, demand: &Demand, by: Dim, refused: bool) -> Unplaceable {
        if self.stocks.is_empty() {
            return Unplaceable::NoNode;
        }
        let running =
            self.stocks.iter().filter(|stock| stock.offer.runtimes.contains(demand.runtime));
        let Some(most) = running.map(|stock| stock.offer.isolation).max() else {
            return Unplaceable::NoRuntime(demand.runtime);
        };
        if most < demand.isolation {
            return Unplaceable::NoIsolation { asked: demand.isolation, most };
        }
        let need = room(demand.size);
        let mut serving = self.stocks.iter().filter(|stock| stock.offer.serves(demand)).peekable();
        if serving.peek().is_none() {
            return Unplaceable::NoTenancy(demand.tenancy);
        }
        if !serving.clone().any(|stock| stock.capacities.holds(&need)) {
            let most = |dim| serving.clone().filter_map(|stock| stock.capacities.most(dim)).max();
            let most = Dim::ALL.map(|dim| most(dim).unwrap_or_default());
            return Unplaceable::TooLarge { asked: demand.size, most: resources(most) };
        }
        if refused {
            return Unplaceable::NotAdmitted;
        }
        self.why_not_now(demand, by)
    }

    fn why_not_now(&self, demand: &Demand, by: Dim) -> Unplaceable {
        let own = match demand.tenancy {
            Tenancy::Shared => &[],
            Tenancy::Dedicated => self.classes.owned(&demand.account),
        };
        let (mut any, mut draining, mut lost) = (false, 0, 0);
        let mut roomiest: Option<Room> = None;
        let zones = 0..self.areas.len();
        for class in zones.flat_map(|zone| self.classes.usable(zone, demand, own)).flatten() {
            any = true;
            draining += class.draining;
            lost += class.lost;
            roomiest = roomiest
                .into_iter()
                .chain(class.ready.roomy(by))
                .max_by_key(|free| (by.of(free), *free));
        }
        match roomiest {
            Some(free) => Unplaceable::Full { asked: demand.size, roomiest: resources(free) },
            None if any => Unplaceable::NoneReady { draining, lost },
            None => Unplaceable::OthersOnly,
        }
    }
}
