"""Web archives as files: compression, members, records, HTTP messages; no judgement about pages."""
