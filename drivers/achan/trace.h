/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * achan: tracepoints, by which one record can be followed: @minor is that of the
 * channel whose file acts, @sequence the record's number in its ring.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM achan

#if !defined(_ACHAN_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _ACHAN_TRACE_H

#include <linux/tracepoint.h>

DECLARE_EVENT_CLASS(achan_record,
	TP_PROTO(const struct achan *channel, const struct achan_record *record,
		 u32 length),
	TP_ARGS(channel, record, length),
	TP_STRUCT__entry(
		__field(u32, minor)
		__field(u32, length)
		__field(u64, sequence)
	),
	TP_fast_assign(
		__entry->minor = achan_minor(channel);
		__entry->length = length;
		__entry->sequence = record->sequence;
	),
	TP_printk("minor=%u sequence=%llu length=%u", __entry->minor,
		  __entry->sequence, __entry->length)
);

/* Room was taken for a record. */
DEFINE_EVENT(achan_record, achan_reserve,
	TP_PROTO(const struct achan *channel, const struct achan_record *record,
		 u32 length),
	TP_ARGS(channel, record, length));

/* It can be read. */
DEFINE_EVENT(achan_record, achan_commit,
	TP_PROTO(const struct achan *channel, const struct achan_record *record,
		 u32 length),
	TP_ARGS(channel, record, length));

/* It was taken: @length bytes of it, in a stream perhaps not all. */
DEFINE_EVENT(achan_record, achan_consume,
	TP_PROTO(const struct achan *channel, const struct achan_record *record,
		 u32 length),
	TP_ARGS(channel, record, length));

DECLARE_EVENT_CLASS(achan_request,
	TP_PROTO(const struct achan *channel, bool write,
		 const void *request, ssize_t result),
	TP_ARGS(channel, write, request, result),
	TP_STRUCT__entry(
		__field(u32, minor)
		__field(bool, write)
		__field(const void *, request)
		__field(ssize_t, result)
	),
	TP_fast_assign(
		__entry->minor = achan_minor(channel);
		__entry->write = write;
		__entry->request = request;
		__entry->result = result;
	),
	TP_printk("minor=%u %s request=%p result=%zd", __entry->minor,
		  __entry->write ? "write" : "read", __entry->request,
		  __entry->result)
);

/* An asynchronous request found no record, or no room; @result: bytes so far. */
DEFINE_EVENT(achan_request, achan_park,
	TP_PROTO(const struct achan *channel, bool write,
		 const void *request, ssize_t result),
	TP_ARGS(channel, write, request, result));

/* It ends with @result. */
DEFINE_EVENT(achan_request, achan_complete,
	TP_PROTO(const struct achan *channel, bool write,
		 const void *request, ssize_t result),
	TP_ARGS(channel, write, request, result));

/* io_cancel() or io_destroy() wants it back; achan_complete follows. */
DEFINE_EVENT(achan_request, achan_cancel,
	TP_PROTO(const struct achan *channel, bool write,
		 const void *request, ssize_t result),
	TP_ARGS(channel, write, request, result));

/*
 * Those who wait were told: @due is ACHAN_DUE_READ or _WRITE, in numbers below,
 * which tools can read. @sequence is that of the next record.
 */
TRACE_EVENT(achan_notify,
	TP_PROTO(u32 minor, unsigned int due, u64 sequence),
	TP_ARGS(minor, due, sequence),
	TP_STRUCT__entry(
		__field(u32, minor)
		__field(unsigned int, due)
		__field(u64, sequence)
	),
	TP_fast_assign(
		__entry->minor = minor;
		__entry->due = due;
		__entry->sequence = sequence;
	),
	TP_printk("minor=%u %s next=%llu", __entry->minor,
		  __print_symbolic(__entry->due, { 2, "readers" },
				   { 4, "writers" }), __entry->sequence)
);

#endif /* _ACHAN_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
