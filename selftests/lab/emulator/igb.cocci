// SPDX-License-Identifier: GPL-2.0
// The switch in an igb with VFs, as a PF in a bridge knows it.
//
// It sends a packet to all whose it may be, the sender among them: what a bridge sends by
// way of the PF comes back by the PF, and the bridge learns that its own ports' machines are
// there, and floods it once more. A card sends a pool's packets back to it only where that is
// asked for, by a bit for each pool (LLE).
//
// Who takes packets that are for nobody else (ROPE) does not get them: it looks at the
// bit for those to groups (ROMPE). So nothing that a VF sends reaches what is behind
// the bridge.
@sender@
typedef IGBCore, bool;
identifier core, tx, queue;
@@
+static uint16_t igb_tx_pool;
+
 static bool igb_tx_pkt_send(IGBCore *core, struct igb_tx *tx, int queue)
 {
 	<...
+	igb_tx_pool = queue % IGB_NUM_VM_POOLS;
+	/* A queue that is no VF's is the PF's. */
+	if (!pcie_sriov_get_vf_at_index(core->owner, igb_tx_pool))
+		igb_tx_pool = (core->mac[VT_CTL] & E1000_VT_CTL_DEFAULT_POOL_MASK) >>
+			E1000_VT_CTL_DEFAULT_POOL_SHIFT;
 	if (!igb_setup_tx_offloads(core, tx)) { ... }
 	...>
 }

@others@
IGBCore *core;
identifier queues;
@@
+if (external_tx)
+	queues &= ~BIT(igb_tx_pool) | core->mac[DTXSWC] >> 16;
 queues &= core->mac[VFRE];

@unicast@
IGBCore *core;
expression e;
@@
-e & E1000_VMOLR_ROMPE
+e & (is_multicast_ether_addr(ehdr->h_dest) ? E1000_VMOLR_ROMPE : E1000_VMOLR_ROPE)
