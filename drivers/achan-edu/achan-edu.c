// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan-edu: QEMU's "edu" PCI device as two channels.
 *
 *	eduN	  written: operands	read: their factorials, and what was
 *					raised by hand
 *	eduN-dma  written: blocks	read: the same, by DMA into the device's
 *					memory and back
 *
 * The device does one of each at a time. What is written waits in its channel until
 * the interrupt says that the device is free: the handler pushes the answer, and
 * pulls what is next.
 *
 * QEMU's docs/specs/edu describes the device.
 */
#include <linux/dma-mapping.h>
#include <linux/idr.h>
#include <linux/interrupt.h>
#include <linux/iopoll.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/timekeeping.h>

#include <linux/achan.h>
#include <uapi/linux/achan-edu.h>

/* Registers. */
#define EDU_ID			0x00
#define EDU_FACTORIAL		0x08	/* in: operand; out: its factorial */
#define EDU_STATUS		0x20
#define EDU_INTERRUPTS		0x24	/* what waits to be acknowledged */
#define EDU_ACKNOWLEDGE		0x64
#define EDU_DMA_SOURCE		0x80
#define EDU_DMA_DESTINATION	0x88
#define EDU_DMA_COUNT		0x90
#define EDU_DMA_COMMAND		0x98

/* EDU_ID: the upper half is a version. */
#define EDU_ID_MASK		0xffff
#define EDU_ID_VALUE		0x00ed

/* EDU_STATUS */
#define EDU_COMPUTING		BIT(0)
#define EDU_INTERRUPT_WHEN_DONE	BIT(7)

/* EDU_INTERRUPTS; all other bits were raised by hand. */
#define EDU_FACTORIAL_DONE	BIT(0)
#define EDU_DMA_DONE		BIT(8)

/* EDU_DMA_COMMAND */
#define EDU_DMA_RUN		BIT(0)
#define EDU_DMA_FROM_DEVICE	BIT(1)
#define EDU_DMA_INTERRUPT	BIT(2)

/* Where the DMA engine sees the device's memory, and how many address bits it has. */
#define EDU_DMA_MEMORY		0x40000
#define EDU_DMA_BITS		28

/*
 * Most bytes of a transfer: QEMU before 8.2.1 aborts where one takes the last byte of
 * the device's memory. So a block can be two pieces.
 */
#define EDU_PIECE_MAX		(ACHAN_EDU_BLOCK_MAX - 8)

/* What a device that is no longer there reads. */
#define EDU_GONE		0xffffffff

/* Longer than any DMA, which takes 100 ms, and than all sensible operands. */
#define EDU_IDLE_USECS		1000000

static bool msi = true;
module_param(msi, bool, 0644);
MODULE_PARM_DESC(msi, "message-signalled interrupts, where there are any; off: INTx (default on)");

/**
 * struct edu_work - what the device is busy with for one channel
 * @channel: the channel
 * @record:  the answer, as far as it is known
 * @busy:    there is something
 */
struct edu_work {
	struct achan *channel;
	struct achan_edu_record record;
	bool busy;
};

/**
 * struct edu - a device
 * @device:	  for messages
 * @registers:	  its BAR 0
 * @index:	  N of its names
 * @lock:	  what follows, and the order of the answers: it is held over the
 *		  pushes. Taken by the handler and by whoever writes.
 * @operands:	  of eduN
 * @blocks:	  of eduN-dma, whose channel is NULL where there is none
 * @going:	  the device may be given something
 * @coming_back:  the piece is in the device
 * @back:	  bytes of the block that have come back
 * @memory:	  for DMA: of ACHAN_EDU_BLOCK_MAX bytes that go and as many that
 *		  come, so that a block that never went is seen
 * @address:	  where the device sees that
 */
struct edu {
	struct device *device;
	void __iomem *registers;
	int index;

	spinlock_t lock;	/* what follows */
	struct edu_work operands;
	struct edu_work blocks;
	bool going;
	bool coming_back;
	u32 back;
	u8 *memory;
	dma_addr_t address;
};

static DEFINE_IDA(indices);

/* Context: lock held. */
static void answer(struct edu_work *work)
{
	work->busy = false;
	achan_push(work->channel, &work->record, sizeof(work->record));
}

/* Context: lock held. */
static void refuse(struct edu_work *work, int error)
{
	work->record.error = error;
	work->record.started = 0;
	answer(work);
}

/*
 * Context: lock held, so that there is one puller. Return: bytes that were written,
 * in @data if they are @size at the most, else nowhere; or an error: there is nothing.
 */
static ssize_t take(struct edu_work *work, u32 kind, void *data, u32 size)
{
	struct achan_record header;
	ssize_t length = achan_pull(work->channel, data, size, &header);

	if (length == -EMSGSIZE)
		length = achan_pull(work->channel, NULL, 0, &header);
	if (length < 0)
		return length;
	work->record = (struct achan_edu_record){
		.kind = kind,
		.length = length,
		.sequence = header.sequence,
		.started = ktime_get_ns(),
	};
	return length;
}

/* Context: lock held. */
static void next_operand(struct edu *edu)
{
	struct edu_work *work = &edu->operands;
	ssize_t length;
	u32 operand;

	while (edu->going && !work->busy) {
		length = take(work, ACHAN_EDU_RESULT, &operand, sizeof(operand));
		if (length < 0)
			return;
		if (length != sizeof(operand)) {
			refuse(work, -EINVAL);
			continue;
		}
		work->busy = true;
		work->record.operand = operand;
		iowrite32(operand, edu->registers + EDU_FACTORIAL);
	}
}

/* Context: lock held. Return: bytes of the piece that is transferred next, or now. */
static u32 piece(struct edu *edu)
{
	return min_t(u32, edu->blocks.record.length - edu->back, EDU_PIECE_MAX);
}

/* Context: lock held. */
static void transfer(struct edu *edu, bool from_device)
{
	u32 command = EDU_DMA_RUN | EDU_DMA_INTERRUPT;
	u32 source = edu->address + edu->back;
	u32 destination = EDU_DMA_MEMORY;

	if (!edu->going)
		return;
	if (from_device) {
		command |= EDU_DMA_FROM_DEVICE;
		destination = source + ACHAN_EDU_BLOCK_MAX;
		source = EDU_DMA_MEMORY;
	}
	edu->coming_back = from_device;
	iowrite32(source, edu->registers + EDU_DMA_SOURCE);
	iowrite32(destination, edu->registers + EDU_DMA_DESTINATION);
	iowrite32(piece(edu), edu->registers + EDU_DMA_COUNT);
	iowrite32(command, edu->registers + EDU_DMA_COMMAND);
}

/* Context: lock held. */
static void next_block(struct edu *edu)
{
	struct edu_work *work = &edu->blocks;
	ssize_t length;

	while (edu->going && work->channel && !work->busy) {
		length = take(work, ACHAN_EDU_BLOCK, edu->memory,
			      ACHAN_EDU_BLOCK_MAX);
		if (length < 0)
			return;
		if (length > ACHAN_EDU_BLOCK_MAX) {
			refuse(work, -EMSGSIZE);
			continue;
		}
		work->busy = true;
		edu->back = 0;
		transfer(edu, false);
	}
}

/*
 * Context: lock held. A handler that something else has called, another device on the
 * line or another bit, may be at work already when this is given to the device, and
 * finds it done: it began before.
 */
static void set_interrupted(struct edu_work *work, u64 began)
{
	work->record.interrupted = max(began, work->record.started);
}

/* Context: lock held. Anybody can raise the bit: what counts is the status. */
static void factorial_done(struct edu *edu, u64 interrupted)
{
	struct edu_work *work = &edu->operands;

	if (!work->busy ||
	    (ioread32(edu->registers + EDU_STATUS) & EDU_COMPUTING))
		return;
	work->record.value = ioread32(edu->registers + EDU_FACTORIAL);
	set_interrupted(work, interrupted);
	answer(work);
	next_operand(edu);
}

/* Context: lock held. */
static void block_done(struct edu *edu, u64 interrupted)
{
	struct edu_work *work = &edu->blocks;
	u32 length = work->record.length;
	void *payload;

	work->busy = false;
	set_interrupted(work, interrupted);
	/* Where there is no room the record is lost, and counted. */
	payload = achan_reserve(work->channel, sizeof(work->record) + length);
	if (!payload)
		return;
	memcpy(payload, &work->record, sizeof(work->record));
	memcpy(payload + sizeof(work->record),
	       edu->memory + ACHAN_EDU_BLOCK_MAX, length);
	achan_commit(work->channel, payload);
}

/* Context: lock held. As factorial_done(). */
static void dma_done(struct edu *edu, u64 interrupted)
{
	if (!edu->blocks.busy ||
	    (ioread32(edu->registers + EDU_DMA_COMMAND) & EDU_DMA_RUN))
		return;
	if (!edu->coming_back) {
		transfer(edu, true);
		return;
	}
	edu->back += piece(edu);
	if (edu->back < edu->blocks.record.length) {
		transfer(edu, false);
		return;
	}
	block_done(edu, interrupted);
	next_block(edu);
}

/* Context: lock held. */
static void raised(struct edu *edu, u32 bits, u64 interrupted)
{
	struct achan_edu_record record = {
		.kind = ACHAN_EDU_RAISED,
		.value = bits,
		.interrupted = interrupted,
	};

	achan_push(edu->operands.channel, &record, sizeof(record));
}

static bool is_gone(struct edu *edu)
{
	return ioread32(edu->registers + EDU_ID) == EDU_GONE;
}

/*
 * What is acknowledged is what was seen: a bit that comes later keeps INTx up, and
 * is a message of its own with MSI.
 */
static irqreturn_t interrupt(int irq, void *data)
{
	u64 interrupted = ktime_get_ns();
	struct edu *edu = data;
	u32 bits = ioread32(edu->registers + EDU_INTERRUPTS);
	u32 by_hand = bits & ~(EDU_FACTORIAL_DONE | EDU_DMA_DONE);

	if (!bits || (bits == EDU_GONE && is_gone(edu)))
		return IRQ_NONE;
	iowrite32(bits, edu->registers + EDU_ACKNOWLEDGE);
	spin_lock(&edu->lock);
	if (by_hand)
		raised(edu, by_hand, interrupted);
	if (bits & EDU_FACTORIAL_DONE)
		factorial_done(edu, interrupted);
	if (bits & EDU_DMA_DONE)
		dma_done(edu, interrupted);
	spin_unlock(&edu->lock);
	return IRQ_HANDLED;
}

static void operand_written(struct achan *channel)
{
	struct edu *edu = achan_private(channel);
	unsigned long flags;

	spin_lock_irqsave(&edu->lock, flags);
	next_operand(edu);
	spin_unlock_irqrestore(&edu->lock, flags);
}

static void block_written(struct achan *channel)
{
	struct edu *edu = achan_private(channel);
	unsigned long flags;

	spin_lock_irqsave(&edu->lock, flags);
	next_block(edu);
	spin_unlock_irqrestore(&edu->lock, flags);
}

static const struct achan_operations operand_operations = {
	.written = operand_written,
};

static const struct achan_operations block_operations = {
	.written = block_written,
};

static int wait_idle(struct edu *edu)
{
	u32 value;
	int ret;

	ret = read_poll_timeout(ioread32, value,
				!(value & EDU_DMA_RUN) || value == EDU_GONE,
				1000, EDU_IDLE_USECS, false,
				edu->registers + EDU_DMA_COMMAND);
	if (ret)
		return ret;
	return read_poll_timeout(ioread32, value,
				 !(value & EDU_COMPUTING) || value == EDU_GONE,
				 1000, EDU_IDLE_USECS, false,
				 edu->registers + EDU_STATUS);
}

/* A driver before this one may have left the device at work, or an interrupt up. */
static int reset(struct edu *edu)
{
	u32 id = ioread32(edu->registers + EDU_ID);

	if ((id & EDU_ID_MASK) != EDU_ID_VALUE)
		return dev_err_probe(edu->device, -ENODEV,
				     "its id register reads %#x: not an edu\n", id);
	iowrite32(0, edu->registers + EDU_STATUS);
	if (wait_idle(edu))
		return dev_err_probe(edu->device, -EBUSY,
				     "still at work: load achan-edu again later\n");
	iowrite32(ioread32(edu->registers + EDU_INTERRUPTS),
		  edu->registers + EDU_ACKNOWLEDGE);
	return 0;
}

static void free_index(void *data)
{
	struct edu *edu = data;

	ida_free(&indices, edu->index);
}

/*
 * A computation that has come to its end may raise the interrupt a moment later. On a
 * line that others share it would stay up for ever, with no handler to take it.
 */
static void mask_intx(struct edu *edu)
{
	struct pci_dev *pci = to_pci_dev(edu->device);
	u16 command;

	pci_read_config_word(pci, PCI_COMMAND, &command);
	pci_write_config_word(pci, PCI_COMMAND,
			      command | PCI_COMMAND_INTX_DISABLE);
}

/*
 * Whatever the device still does: the memory is not its own any more. When MSI was
 * turned off INTx came on.
 */
static void disconnect(void *data)
{
	struct edu *edu = data;

	mask_intx(edu);
	pci_clear_master(to_pci_dev(edu->device));
}

static int map(struct pci_dev *pci, struct edu *edu)
{
	int ret = pcim_enable_device(pci);

	if (ret)
		return dev_err_probe(edu->device, ret, "cannot be enabled\n");
	edu->registers = devm_ioremap_resource(edu->device, &pci->resource[0]);
	if (IS_ERR(edu->registers))
		return dev_err_probe(edu->device, PTR_ERR(edu->registers),
				     "its registers cannot be mapped\n");
	return reset(edu);
}

/* A message-signalled interrupt is a DMA too. Without memory: no eduN-dma. */
static int prepare_dma(struct pci_dev *pci, struct edu *edu)
{
	if (!dma_set_mask_and_coherent(edu->device, DMA_BIT_MASK(EDU_DMA_BITS)))
		edu->memory = dmam_alloc_coherent(edu->device,
						  2 * ACHAN_EDU_BLOCK_MAX,
						  &edu->address, GFP_KERNEL);
	if (!edu->memory)
		dev_warn(edu->device,
			 "no memory below %lu MiB (is CONFIG_ZONE_DMA on?): no edu%d-dma\n",
			 BIT(EDU_DMA_BITS - 20), edu->index);
	pci_set_master(pci);
	return devm_add_action_or_reset(edu->device, disconnect, edu);
}

static int create(struct edu *edu, struct edu_work *work, const char *suffix,
		  const struct achan_operations *operations)
{
	char name[ACHAN_NAME_MAX];
	const struct achan_description description = {
		.name = name,
		.operations = operations,
		.private = edu,
		.config.mode = ACHAN_MODE_MESSAGE,
	};

	snprintf(name, sizeof(name), "edu%d%s", edu->index, suffix);
	work->channel = devm_achan_create(edu->device, &description);
	if (IS_ERR(work->channel))
		return dev_err_probe(edu->device, PTR_ERR(work->channel),
				     "cannot make channel %s\n", name);
	return 0;
}

static int create_channels(struct edu *edu)
{
	int ret = create(edu, &edu->operands, "", &operand_operations);

	if (!ret && edu->memory)
		ret = create(edu, &edu->blocks, "-dma", &block_operations);
	return ret;
}

static int request_interrupt(struct pci_dev *pci, struct edu *edu)
{
	unsigned long flags = 0;
	int ret;

	if (!msi || pci_alloc_irq_vectors(pci, 1, 1, PCI_IRQ_MSI) < 0)
		flags = IRQF_SHARED;
	ret = devm_request_irq(edu->device, pci_irq_vector(pci, 0), interrupt,
			       flags, achan_name(edu->operands.channel), edu);
	if (ret)
		return dev_err_probe(edu->device, ret, "no interrupt\n");
	return 0;
}

/* While the handler is still there to acknowledge what comes. */
static void quiet(void *data)
{
	struct edu *edu = data;

	spin_lock_irq(&edu->lock);
	edu->going = false;
	spin_unlock_irq(&edu->lock);
	iowrite32(0, edu->registers + EDU_STATUS);
	if (wait_idle(edu))
		dev_warn(edu->device, "still at work\n");
	mask_intx(edu);
}

/* What was written while there was no interrupt has waited until now. */
static int go(struct edu *edu)
{
	iowrite32(EDU_INTERRUPT_WHEN_DONE, edu->registers + EDU_STATUS);
	spin_lock_irq(&edu->lock);
	edu->going = true;
	next_operand(edu);
	next_block(edu);
	spin_unlock_irq(&edu->lock);
	return devm_add_action_or_reset(edu->device, quiet, edu);
}

/*
 * All is the device's: it goes in the reverse order, the interrupt before the
 * channels, and these before the memory and the registers.
 */
static int probe(struct pci_dev *pci, const struct pci_device_id *id)
{
	struct edu *edu = devm_kzalloc(&pci->dev, sizeof(*edu), GFP_KERNEL);
	int ret;

	if (!edu)
		return -ENOMEM;
	edu->device = &pci->dev;
	spin_lock_init(&edu->lock);
	edu->index = ida_alloc(&indices, GFP_KERNEL);
	if (edu->index < 0)
		return edu->index;
	ret = devm_add_action_or_reset(edu->device, free_index, edu);
	if (!ret)
		ret = map(pci, edu);
	if (!ret)
		ret = prepare_dma(pci, edu);
	if (!ret)
		ret = create_channels(edu);
	if (!ret)
		ret = request_interrupt(pci, edu);
	return ret ?: go(edu);
}

static const struct pci_device_id ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{ }
};
MODULE_DEVICE_TABLE(pci, ids);

static struct pci_driver edu_driver = {
	.name = "achan-edu",
	.id_table = ids,
	.probe = probe,
};
module_pci_driver(edu_driver);

MODULE_DESCRIPTION("QEMU's edu device as asynchronous channels");
MODULE_AUTHOR("The achan developers");
MODULE_VERSION(ACHAN_RELEASE);
MODULE_LICENSE("GPL");
MODULE_INFO(import_ns, "ACHAN");
