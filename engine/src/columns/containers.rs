//! Rows of the table `containers`: each container that an event of a batch told of.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, Int64Builder, ListBuilder, UInt8Builder};
use arrow_schema::ArrowError;

use super::builders::{Dictionary, Maps, Table, Times};
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
    host_id: Dictionary,
    host: Dictionary,
    boot_id: Dictionary,
    since: Times,
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
            self.host_id.push(batch.header.host_id.as_bytes());
            self.host.push(batch.header.host.as_bytes());
            self.boot_id.push(batch.header.boot_id.as_bytes());
            self.add_container(container);
        }
    }

    fn add_container(&mut self, c: &Container) {
        self.since.push(c.since);
        let names = [&c.id, &c.full_id, &c.engine, &c.name];
        let image = [&c.image, &c.image_id, &c.repository, &c.tag, &c.digest];
        let rest = [&c.user, &c.ip, &c.cni_json, &c.sandbox_id, &c.pod_ip, &c.pod_cni_json];
        let texts = names.into_iter().chain(image).chain(rest);
        self.texts
            .iter_mut()
            .zip(texts)
            .for_each(|(column, text)| column.append_value(text));
        let flags = [
            c.in_pod,
            c.privileged,
            c.host_pid,
            c.host_network,
            c.host_ipc,
            c.is_sandbox,
        ];
        self.flags
            .iter_mut()
            .zip(flags)
            .for_each(|(column, flag)| column.append_value(u8::from(flag)));
        self.created.append_value(c.created);
        for (column, labels) in [(&mut self.labels, &c.labels), (&mut self.pod_labels, &c.sandbox_labels)] {
            for (key, value) in labels {
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
        table.add("host_id", self.host_id.finish_text()?);
        table.add("host", self.host.finish_text()?);
        table.add("boot_id", self.boot_id.finish_text()?);
        table.add("since", self.since.finish());
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
