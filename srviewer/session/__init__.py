"""The state of one sitting at the viewer, without Qt and without torch."""
