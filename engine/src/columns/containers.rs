//! Rows of the table `containers`: each container that an event of a batch told of.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, Int64Builder, ListBuilder, UInt8Builder};
use arrow_schema::ArrowError;

use super::builders::{Maps, Table, Told};
use crate::avro::enriched::EventBatch;
use crate::facts::Container;

const TEXTS: [&str; 15] = [
    "id",
    "full_id",
    "engine",
    "name",
    "image",
    "image_id",
    "repository",
    "tag",
    "digest",
    "user",
    "ip",
    "cni_json",
    "sandbox_id",
    "pod_ip",
    "pod_cni_json",
];
const FLAGS: [&str; 6] = [
    "in_pod",
    "privileged",
    "host_pid",
    "host_network",
    "host_ipc",
    "is_sandbox",
];
const MOUNTS: [&str; 5] = [
    "mount_sources",
    "mount_destinations",
    "mount_modes",
    "mount_rdwr",
    "mount_propagations",
];

#[derive(Default)]
pub struct Containers {
    told: Told,
    texts: [BinaryBuilder; 15],
    flags: [UInt8Builder; 6],
    created: Int64Builder,
    labels: Maps,
    pod_labels: Maps,
    mounts: [ListBuilder<BinaryBuilder>; 5],
    ports: ListBuilder<BinaryBuilder>,
}

impl Containers {
    pub fn add(&mut self, batch: &EventBatch) {
        for container in &batch.enriched.containers {
            self.told.push(&batch.header, container.since);
            self.add_container(container);
        }
    }

    fn add_container(&mut self, c: &Container) {
        self.texts
            .iter_mut()
            .zip(c.texts())
            .for_each(|(column, text)| column.append_value(text));
        self.flags
            .iter_mut()
            .zip(c.flags())
            .for_each(|(column, flag)| column.append_value(u8::from(flag)));
        self.created.append_value(c.created);
        for (column, labels) in [(&mut self.labels, &c.labels), (&mut self.pod_labels, &c.sandbox_labels)] {
            for (key, value) in labels {
                let key = column.intern(key);
                column.entry(key, |out| {
                    out.extend_from_slice(value);
                    true
                });
            }
            column.end_row();
        }
        for mount in &c.mounts {
            let rdwr: &[u8] = if mount.writable { b"true" } else { b"false" };
            let parts = [
                &mount.source[..],
                &mount.destination,
                &mount.mode,
                rdwr,
                &mount.propagation,
            ];
            self.mounts
                .iter_mut()
                .zip(parts)
                .for_each(|(list, part)| list.values().append_value(part));
        }
        self.mounts.iter_mut().for_each(|list| list.append(true));
        for port in &c.ports {
            let mut text = port.host_ip.clone();
            text.extend_from_slice(format!(":{}->{}", port.host_port, port.port).as_bytes());
            self.ports.values().append_value(text);
        }
        self.ports.append(true);
    }

    pub fn finish(mut self) -> Result<Vec<u8>, ArrowError> {
        let mut table = Table::default();
        self.told.finish(&mut table)?;
        for (name, mut column) in TEXTS.into_iter().zip(self.texts) {
            table.add(name, Arc::new(column.finish()));
        }
        for (name, mut column) in FLAGS.into_iter().zip(self.flags) {
            table.add(name, Arc::new(column.finish()));
        }
        table.add("created", Arc::new(self.created.finish()));
        table.add("labels", self.labels.finish()?);
        table.add("pod_labels", self.pod_labels.finish()?);
        for (name, mut column) in MOUNTS.into_iter().zip(self.mounts) {
            table.add(name, Arc::new(column.finish()));
        }
        table.add("ports", Arc::new(self.ports.finish()));
        table.finish()
    }
}
