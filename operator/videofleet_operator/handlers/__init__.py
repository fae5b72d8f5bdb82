"""The only kopf decorators of the operator; each handler calls one service."""
