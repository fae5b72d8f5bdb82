"""Single pictures: a client waits while a worker looks at one."""
