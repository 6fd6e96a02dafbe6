"""The volume side: one small process that brings the live manifest into the skills folder."""
