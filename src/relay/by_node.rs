//! Something for each of the nodes that are known. They are few.

use crate::relay::record::NodeId;

/// Something for each of a few nodes, in the order in which they came.
#[derive(Debug)]
pub(crate) struct ByNode<T>(Vec<(NodeId, T)>);

impl<T> Default for ByNode<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Default> ByNode<T> {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(NodeId, T)> {
        self.0.iter()
    }

    pub(crate) fn get_mut(&mut self, node: NodeId) -> Option<&mut T> {
        let mut all = self.0.iter_mut();
        all.find(|(id, _)| *id == node).map(|(_, it)| it)
    }

    /// What there is for a node, for which there is something from now on.
    pub(crate) fn of(&mut self, node: NodeId) -> &mut T {
        let index = self.0.iter().position(|(id, _)| *id == node);
        let index = index.unwrap_or_else(|| {
            self.0.push((node, T::default()));
            self.0.len() - 1
        });
        &mut self.0[index].1
    }

    /// Gives whether there was something.
    pub(crate) fn remove(&mut self, node: NodeId) -> bool {
        let before = self.0.len();
        self.0.retain(|(id, _)| *id != node);
        self.0.len() < before
    }
}
