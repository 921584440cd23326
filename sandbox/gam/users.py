"""Users and roles. Roles are the vendor's built-in ones; who may approve follows its description of them."""

from __future__ import annotations

from sandbox.gam.network import Network
from sandbox.gam.pages import page
from sandbox.gam.pql import Property
from sandbox.gam.soap import Native, fail

# Built-in roles have negative ids (documented); which number belongs to which role is this sandbox's own.
ROLES = {"Administrator": -1, "Executive": -5, "Sales Manager": -4, "Salesperson": -3, "Trafficker": -7}
_APPROVERS = ("Administrator", "Sales Manager", "Trafficker")


def get_all_roles(_network: Network) -> list[Native]:
    """All roles."""
    return [{"id": role_id, "name": name, "description": name, "status": "ACTIVE"} for name, role_id in ROLES.items()]


def get_current_user(network: Network, user_id: int) -> Native:
    """The user whose token was used."""
    user = network.tables["User"].get(user_id)
    if user is None:
        fail("CommonError", "NOT_FOUND", "", user_id)
    return show_user(network, user)


def get_users(network: Network, statement: Native | None) -> Native:
    """The users that a statement selects."""
    return page(network, "User", statement, _PROPERTIES, show_user)


def may_approve(network: Network, user_id: int) -> bool:
    """Whether a user's role may approve orders."""
    user = network.tables["User"].get(user_id)
    return user is not None and user["roleName"] in _APPROVERS


def show_user(_network: Network, row: Native) -> Native:
    """A user as the vendor returns it."""
    shown = {name: value for name, value in row.items() if name[0] != "_"}
    shown["roleId"] = ROLES[row["roleName"]]
    return shown


_PROPERTIES: dict[str, Property[Native]] = {
    "id": Property("number", lambda row: row["id"]),
    "email": Property("text", lambda row: row["email"]),
    "name": Property("text", lambda row: row["name"]),
    "roleid": Property("number", lambda row: ROLES[row["roleName"]]),
    "rolename": Property("text", lambda row: row["roleName"]),
    "status": Property("text", lambda row: "ACTIVE" if row["isActive"] else "INACTIVE"),
}
